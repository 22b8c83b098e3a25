// The small numbers of batch normalisation, (B, C) in double: from the moments of clips
// to what their channels are multiplied by and what is added, and back. Clip i belongs to
// group i mod `groups`.
#include "vectors.h"

#include <algorithm>
#include <cmath>

namespace {

struct Norm {
  long batch, channels, pixels, groups;
  long step;  // from the running statistics of a group to those of the next
};

INLINE double value(double x) { return x; }
INLINE double value(float x) { return x; }
INLINE double value(bf16 x) { return widen(x); }

// x + momentum * (next - x), in the arithmetic of the parameters
template <class P> INLINE void learn(P &x, double next, double momentum) {
  if constexpr (sizeof(P) == 2) {
    const float was = widen(x);
    x = narrow(was + float(momentum) * (widen(narrow(float(next))) - was));
  } else {
    x += P(momentum) * (P(next) - x);
  }
}

template <class P>
void statistics(const double *clip_mean, const double *square, const P *weight,
                const P *bias, P *running_mean, P *running_variance, double momentum,
                double epsilon, double *mean, double *inverse, double *scale,
                double *shift, const Norm &n) {
  const long C = n.channels, clips = n.batch / n.groups;
  const double count = double(clips) * n.pixels;
  for (long g = 0; g < n.groups; g++)
    for (long c = 0; c < C; c++) {
      double m = 0, squares = 0;
      for (long b = g; b < n.batch; b += n.groups) m += clip_mean[b * C + c];
      m /= clips;
      for (long b = g; b < n.batch; b += n.groups) {
        const double apart = clip_mean[b * C + c] - m;
        squares += square[b * C + c] + apart * apart * n.pixels;
      }
      if (momentum != 0) {
        learn(running_mean[g * n.step + c], m, momentum);
        const double variance = squares / std::max(count - 1, 1.0);
        learn(running_variance[g * n.step + c], variance, momentum);
      }
      const double over = 1 / std::sqrt(squares / count + epsilon);
      for (long b = g; b < n.batch; b += n.groups) {
        const long i = b * C + c;
        mean[i] = m;
        inverse[i] = over;
        scale[i] = value(weight[c]) * over;
        shift[i] = value(bias[c]) - m * scale[i];
      }
    }
}

// From the sums of `reduce`: what the gradient gets as the statistics depend on the batch,
// slope * (x - mean) + constant; and the gradients of weight and bias.
void slopes(const double *sum, const double *product, const double *inverse,
            const double *scale, double *slope, double *constant, double *to_weight,
            double *to_bias, const Norm &n) {
  const long C = n.channels, size = n.batch * C;
  std::fill(to_weight, to_weight + C, 0.0);
  std::fill(to_bias, to_bias + C, 0.0);
  std::fill(slope, slope + size, 0.0);
  std::fill(constant, constant + size, 0.0);
  for (long i = 0; i < size; i++) {
    to_weight[i % C] += product[i] * inverse[i];
    to_bias[i % C] += sum[i];
  }
  if (n.groups == 0) return;
  const double count = double(n.batch / n.groups) * n.pixels;
  for (long g = 0; g < n.groups; g++)
    for (long c = 0; c < C; c++) {
      double sums = 0, products = 0;
      for (long b = g; b < n.batch; b += n.groups) {
        sums += sum[b * C + c];
        products += product[b * C + c];
      }
      for (long b = g; b < n.batch; b += n.groups) {
        const long i = b * C + c;
        slope[i] = -scale[i] * inverse[i] * inverse[i] * products / count;
        constant[i] = -scale[i] * sums / count;
      }
    }
}

}  // namespace

#define EXPORT(P, name)                                                                 \
  extern "C" void norm_statistics_##name(                                               \
      const double *clip_mean, const double *square, const P *weight, const P *bias,    \
      P *running_mean, P *running_variance, double momentum, double epsilon,            \
      double *mean, double *inverse, double *scale, double *shift, const Norm *n) {     \
    statistics(clip_mean, square, weight, bias, running_mean, running_variance,         \
               momentum, epsilon, mean, inverse, scale, shift, *n);                     \
  }
EXPORT(float, float32)
EXPORT(double, float64)
EXPORT(bf16, bfloat16)

extern "C" void norm_slopes_float64(const double *sum, const double *product,
                                    const double *inverse, const double *scale,
                                    double *slope, double *constant, double *to_weight,
                                    double *to_bias, const Norm *n) {
  slopes(sum, product, inverse, scale, slope, constant, to_weight, to_bias, *n);
}
