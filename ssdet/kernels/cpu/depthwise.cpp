// Depthwise 3x3x3 convolution, padding 1, spatial stride 1 or 2, and its gradients.
//
// Everything is (B, T, H, W, C) in memory. One row of pixels is computed at a time, from
// up to nine rows of the other side, a vector of channels after the other: the 27
// weights (or sums) of these channels stay in registers along the row, and what is
// loaded serves the three taps beside each other. Rows past an edge are rows of zeros.
// A task is a band of rows through all frames, so that frames are still in the cache
// when the next ones need them.
#include "depthwise_row.h"

#include <algorithm>
#include <vector>

namespace {

constexpr long BAND = 4;  // rows

// The gradient of one input row at stride 2, from R = 3 or 6 rows of the output's.
template <class S, bool Full, int R>
void spread_row(const S *const *rows, const Value<S> *const *weights, S *out,
                const Size &s, long c, int n) {
  using V = Vector<S>;
  const long C = s.channels;
  V k[3 * R];
#pragma GCC unroll 18
  for (int i = 0; i < 3 * R; i++)
    k[i] = load<Full>(weights[i / 3] + (i % 3) * C + c, n);
  V odd = {};
  for (long o = 0; o < s.out_width(); o++) {
    V even = {}, next = {};
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      V g = load<Full>(rows[r] + o * C + c, n);
      odd += k[3 * r] * g;
      even += k[3 * r + 1] * g;
      next += k[3 * r + 2] * g;
    }
    if (o > 0) store<Full>(out + (2 * o - 1) * C + c, odd, n);
    store<Full>(out + 2 * o * C + c, even, n);
    odd = next;
  }
  if (s.width % 2 == 0) store<Full>(out + (s.width - 1) * C + c, odd, n);
}

// Adds to the 27 sums of these channels what one row of the output's gradient gives.
template <class S, bool Full>
void weight_row(const S *const *rows, const S *gradient, Value<S> *sums, const Size &s,
                long c, int n) {
  using V = Vector<S>;
  const long C = s.channels;
  V k[27];
#pragma GCC unroll 27
  for (int i = 0; i < 27; i++) k[i] = load<Full>(sums + i * C + c, n);
  V before = {}, here = load<Full>(gradient + c, n);
  const long outs = s.out_width();
  for (long o = 0; o < outs; o++) {
    V after = {};
    if (o + 1 < outs) after = load<Full>(gradient + (o + 1) * C + c, n);
    if (s.stride == 1) {
#pragma GCC unroll 9
      for (int r = 0; r < 9; r++) {
        V x = load<Full>(rows[r] + o * C + c, n);
        k[3 * r] += x * after;
        k[3 * r + 1] += x * here;
        k[3 * r + 2] += x * before;
      }
    } else {
#pragma GCC unroll 9
      for (int r = 0; r < 9; r++)
        k[3 * r + 1] += load<Full>(rows[r] + 2 * o * C + c, n) * here;
      if (2 * o + 1 < s.width) {
#pragma GCC unroll 9
        for (int r = 0; r < 9; r++) {
          V x = load<Full>(rows[r] + (2 * o + 1) * C + c, n);
          k[3 * r + 2] += x * here;
          k[3 * r] += x * after;
        }
      }
    }
    before = here;
    here = after;
  }
#pragma GCC unroll 27
  for (int i = 0; i < 27; i++) store<Full>(sums + i * C + c, k[i], n);
}

template <class S>
void nine_rows(const Rows<S> &x, long b, long t, long h, long stride, const S **rows) {
  for (int r = 0; r < 9; r++) rows[r] = x.at(b, t + r / 3 - 1, h * stride + r % 3 - 1);
}

template <class S>
void forward(const S *x, const Value<S> *weight, S *out, const Size &s) {
  const long bands = (s.out_height() + BAND - 1) / BAND, row = s.out_width() * s.channels;
  const std::vector<S> zeros(s.width * s.channels);
  const Rows<S> in{x, zeros.data(), s.frames, s.height, s.width * s.channels};
#pragma omp parallel for collapse(2) schedule(static)
  for (long b = 0; b < s.batch; b++)
    for (long band = 0; band < bands; band++)
      for (long t = 0; t < s.frames; t++)
        for (long h = band * BAND; h < std::min(s.out_height(), (band + 1) * BAND); h++) {
          const S *rows[9];
          nine_rows(in, b, t, h, s.stride, rows);
          S *to = out + ((b * s.frames + t) * s.out_height() + h) * row;
          FOR_CHANNELS(S, s.channels, c, n,
                       forward_row<S, Full>(rows, weight, to, s, {}, c, n);)
        }
}

// At stride 1 the gradient of the input is `forward` with the weights mirrored.
template <class S>
void input_gradient(const S *gradient, const Value<S> *weight, S *out, const Size &s) {
  const long bands = (s.height + BAND - 1) / BAND, row = s.width * s.channels;
  const std::vector<S> zeros(s.out_width() * s.channels);
  const Rows<S> in{gradient, zeros.data(), s.frames, s.out_height(),
                   s.out_width() * s.channels};
#pragma omp parallel for collapse(2) schedule(static)
  for (long b = 0; b < s.batch; b++)
    for (long band = 0; band < bands; band++)
      for (long t = 0; t < s.frames; t++)
        for (long h = band * BAND; h < std::min(s.height, (band + 1) * BAND); h++) {
          const S *rows[6];
          const Value<S> *weights[6];
          int count = 0;
          for (int kt = 0; kt < 3; kt++)
            for (int kh = (h + 1) % 2; kh < 3; kh += 2) {
              rows[count] = in.at(b, t + 1 - kt, (h + 1 - kh) / 2);
              weights[count++] = weight + (9 * kt + 3 * kh) * s.channels;
            }
          S *to = out + ((b * s.frames + t) * s.height + h) * row;
          FOR_CHANNELS(S, s.channels, c, n, {
            if (count == 3)
              spread_row<S, Full, 3>(rows, weights, to, s, c, n);
            else
              spread_row<S, Full, 6>(rows, weights, to, s, c, n);
          })
        }
}

template <class S>
void weight_gradient(const S *x, const S *gradient, Value<S> *out, const Size &s) {
  const long bands = (s.out_height() + BAND - 1) / BAND, size = 27 * s.channels;
  const long row = s.out_width() * s.channels, tasks = s.batch * bands;
  const std::vector<S> zeros(s.width * s.channels);
  const Rows<S> in{x, zeros.data(), s.frames, s.height, s.width * s.channels};
  std::vector<Value<S>> sums(tasks * size);
#pragma omp parallel for schedule(static)
  for (long task = 0; task < tasks; task++) {
    const long b = task / bands, first = task % bands * BAND;
    for (long t = 0; t < s.frames; t++)
      for (long h = first; h < std::min(s.out_height(), first + BAND); h++) {
        const S *rows[9];
        nine_rows(in, b, t, h, s.stride, rows);
        const S *from = gradient + ((b * s.frames + t) * s.out_height() + h) * row;
        FOR_CHANNELS(S, s.channels, c, n,
                     weight_row<S, Full>(rows, from, sums.data() + task * size, s, c, n);)
      }
  }
  // in this order however many threads there were
  std::vector<double> total(size);
  for (long task = 0; task < tasks; task++)
    for (long i = 0; i < size; i++) total[i] += sums[task * size + i];
  for (long i = 0; i < size; i++) out[i] = Value<S>(total[i]);
}

}  // namespace

#define EXPORT(S, name)                                                               \
  extern "C" void depthwise_forward_##name(const S *x, const Value<S> *weight, S *out, \
                                           const Size *s) {                           \
    forward(x, weight, out, *s);                                                      \
  }                                                                                   \
  extern "C" void depthwise_input_gradient_##name(                                    \
      const S *gradient, const Value<S> *weight, S *out, const Size *s) {             \
    input_gradient(gradient, weight, out, *s);                                        \
  }                                                                                   \
  extern "C" void depthwise_weight_gradient_##name(const S *x, const S *gradient,     \
                                                   Value<S> *out, const Size *s) {    \
    weight_gradient(x, gradient, out, *s);                                            \
  }
EXPORT(float, float32)
EXPORT(double, float64)
EXPORT(bf16, bfloat16)
