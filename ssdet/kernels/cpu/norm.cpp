// What surrounds the convolutions of a block: statistics of batch normalisation, scale
// and shift, gate, shortcut, activation, in one pass each; and their gradients.
//
// Everything is (B, N, C) in memory, N pixels of all frames. Coefficients are (B, C):
// one for each clip and channel, which covers groups of clips and gates alike. Sums are
// taken over 16 rows in registers, over BLOCK rows in the arithmetic's type, over blocks
// in double, always in the same order.
#include "vectors.h"

#include <algorithm>
#include <array>
#include <vector>

namespace {

constexpr long ROWS = 16, BLOCK = 512;
enum Activation { NONE, RELU, SILU };

struct Size {
  long batch, rows, channels;
};

// Mean and sum of squared differences from it, of each clip and channel.
template <class S>
void moments(const S *x, double *mean, double *square, const Size &s) {
  using V = Vector<S>;
  using A = Value<S>;
  const long C = s.channels, blocks = (s.rows + BLOCK - 1) / BLOCK;
  std::vector<A> parts(s.batch * blocks * 2 * C);
#pragma omp parallel for schedule(static)
  for (long task = 0; task < s.batch * blocks; task++) {
    const long b = task / blocks, first = task % blocks * BLOCK;
    const long last = std::min(s.rows, first + BLOCK);
    A *means = parts.data() + task * 2 * C, *squares = means + C;
    for (long row = first; row < last; row += ROWS) {
      const int count = int(std::min(ROWS, last - row));
      const S *from = x + (b * s.rows + row) * C;
      const A share = A(count) / A(row - first + count);  // of all rows until here
      const A before = A(row - first);
      FOR_CHANNELS(S, C, c, n, {
        V v[ROWS], sum = {}, squared = {};
        if (count == ROWS) {
          for (int i = 0; i < ROWS; i++) sum += v[i] = load<Full>(from + i * C + c, n);
          sum /= A(ROWS);
          for (int i = 0; i < ROWS; i++) squared += (v[i] - sum) * (v[i] - sum);
        } else {
          for (int i = 0; i < count; i++) sum += load<Full>(from + i * C + c, n);
          sum /= A(count);
          for (int i = 0; i < count; i++) {
            V d = load<Full>(from + i * C + c, n) - sum;
            squared += d * d;
          }
        }
        V m = load<Full>(means + c, n), q = load<Full>(squares + c, n), d = sum - m;
        store<Full>(means + c, m + d * share, n);
        store<Full>(squares + c, q + squared + d * d * (share * before), n);
      })
    }
  }
  for (long b = 0; b < s.batch; b++)
    for (long c = 0; c < C; c++) {
      double m = 0, q = 0;
      for (long block = 0; block < blocks; block++) {
        const A *part = parts.data() + (b * blocks + block) * 2 * C + c;
        const double before = block * BLOCK, d = part[0] - m;
        const double count = std::min(s.rows, (block + 1) * BLOCK) - before;
        m += d * count / (before + count);
        q += part[C] + d * d * before * count / (before + count);
      }
      mean[b * C + c] = m;
      square[b * C + c] = q;
    }
}

// activation(x * scale + shift + other)
template <class S, int ACT, bool OTHER>
void apply(const S *x, const S *other, const Value<S> *scale, const Value<S> *shift,
           S *out, const Size &s) {
  using V = Vector<S>;
  const long C = s.channels, blocks = (s.rows + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(static)
  for (long task = 0; task < s.batch * blocks; task++) {
    const long b = task / blocks, first = task % blocks * BLOCK;
    for (long row = first; row < std::min(s.rows, first + BLOCK); row++) {
      const long at = (b * s.rows + row) * C;
      FOR_CHANNELS(S, C, c, n, {
        V u = load<Full>(x + at + c, n) * load<Full>(scale + b * C + c, n) +
              load<Full>(shift + b * C + c, n);
        if (OTHER) u += load<Full>(other + at + c, n);
        if (ACT == RELU) u = positive(u);
        if (ACT == SILU) u *= sigmoid(u);
        store<Full>(out + at + c, u, n);
      })
    }
  }
}

// The gradient before the activation; of `out` only the sign counts.
template <class S, int ACT, bool OTHER, bool Full>
INLINE Vector<S> before(Vector<S> gradient, Vector<S> x, const S *out,
                        const Value<S> *scale, const Value<S> *shift, int n) {
  if (ACT == NONE) return gradient;
  if (OTHER) return load<Full>(out, n) > 0 ? gradient : Vector<S>{};
  Vector<S> u = x * load<Full>(scale, n) + load<Full>(shift, n);
  if (ACT == RELU) return u > 0 ? gradient : Vector<S>{};
  Vector<S> p = sigmoid(u);
  return gradient * (p * (1 + u * (1 - p)));
}

// Sums over the rows of that gradient, and of it times (x - mean).
template <class S, int ACT, bool OTHER>
void reduce(const S *gradient, const S *x, const S *out, const Value<S> *scale,
            const Value<S> *shift, const Value<S> *mean, double *sum, double *product,
            const Size &s) {
  using V = Vector<S>;
  using A = Value<S>;
  const long C = s.channels, blocks = (s.rows + BLOCK - 1) / BLOCK;
  std::vector<A> parts(s.batch * blocks * 2 * C);
#pragma omp parallel for schedule(static)
  for (long task = 0; task < s.batch * blocks; task++) {
    const long b = task / blocks, first = task % blocks * BLOCK;
    const long last = std::min(s.rows, first + BLOCK);
    A *sums = parts.data() + task * 2 * C, *products = sums + C;
    for (long row = first; row < last; row += ROWS) {
      const int count = int(std::min(ROWS, last - row));
      const long at = (b * s.rows + row) * C;
      FOR_CHANNELS(S, C, c, n, {
        V m = load<Full>(mean + b * C + c, n), one = {}, two = {};
        for (int i = 0; i < count; i++) {
          const long j = at + i * C + c;
          V v = load<Full>(x + j, n);
          V g = before<S, ACT, OTHER, Full>(load<Full>(gradient + j, n), v, out + j,
                                            scale + b * C + c, shift + b * C + c, n);
          one += g;
          two += g * (v - m);
        }
        store<Full>(sums + c, load<Full>(sums + c, n) + one, n);
        store<Full>(products + c, load<Full>(products + c, n) + two, n);
      })
    }
  }
  for (long b = 0; b < s.batch; b++)
    for (long c = 0; c < C; c++) {
      double one = 0, two = 0;
      for (long block = 0; block < blocks; block++) {
        const A *part = parts.data() + (b * blocks + block) * 2 * C + c;
        one += part[0];
        two += part[C];
      }
      sum[b * C + c] = one;
      product[b * C + c] = two;
    }
}

// before * direct + (x - mean) * slope + constant; to the shortcut goes `before`.
template <class S, int ACT, bool OTHER>
void backward(const S *gradient, const S *x, const S *out, const Value<S> *scale,
              const Value<S> *shift, const Value<S> *mean, const Value<S> *direct,
              const Value<S> *slope, const Value<S> *constant, S *to_x, S *to_other,
              const Size &s) {
  using V = Vector<S>;
  const long C = s.channels, blocks = (s.rows + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(static)
  for (long task = 0; task < s.batch * blocks; task++) {
    const long b = task / blocks, first = task % blocks * BLOCK;
    for (long row = first; row < std::min(s.rows, first + BLOCK); row++) {
      const long at = (b * s.rows + row) * C;
      FOR_CHANNELS(S, C, c, n, {
        const long k = b * C + c, j = at + c;
        V v = load<Full>(x + j, n);
        V g = before<S, ACT, OTHER, Full>(load<Full>(gradient + j, n), v, out + j,
                                          scale + k, shift + k, n);
        if (OTHER) store<Full>(to_other + j, g, n);
        V d = g * load<Full>(direct + k, n) + load<Full>(constant + k, n);
        d += (v - load<Full>(mean + k, n)) * load<Full>(slope + k, n);
        store<Full>(to_x + j, d, n);
      })
    }
  }
}

}  // namespace

// Coefficients (B, C), given in double, in the type that is computed in.
template <class S, class... Given> auto arithmetic(const Size &s, Given... given) {
  using Numbers = std::vector<Value<S>>;
  return std::array<Numbers, sizeof...(Given)>{
      Numbers(given, given + s.batch * s.channels)...};
}

// The activation and whether there is a shortcut, which only comes with ReLU.
#define CHOOSE(function, ...)                              \
  if (other) return function<S, RELU, true>(__VA_ARGS__);  \
  if (act == SILU) return function<S, SILU, false>(__VA_ARGS__); \
  if (act == RELU) return function<S, RELU, false>(__VA_ARGS__); \
  return function<S, NONE, false>(__VA_ARGS__);

#define EXPORT(T, name)                                                                \
  extern "C" void norm_moments_##name(const T *x, double *mean, double *square,        \
                                      const Size *s) {                                 \
    moments(x, mean, square, *s);                                                      \
  }                                                                                    \
  extern "C" void norm_apply_##name(const T *x, const T *other, const double *factor,  \
                                    const double *term, T *out, int act,               \
                                    const Size *s) {                                   \
    using S = T;                                                                       \
    const auto [scale, shift] = arithmetic<S>(*s, factor, term);                       \
    CHOOSE(apply, x, other, scale.data(), shift.data(), out, *s)                       \
  }                                                                                    \
  extern "C" void norm_reduce_##name(                                                  \
      const T *gradient, const T *x, const T *other, const double *factor,             \
      const double *term, const double *middle, double *sum, double *product, int act, \
      const Size *s) {                                                                 \
    using S = T;                                                                       \
    const auto [scale, shift, mean] = arithmetic<S>(*s, factor, term, middle);         \
    CHOOSE(reduce, gradient, x, other, scale.data(), shift.data(), mean.data(), sum,   \
           product, *s)                                                                \
  }                                                                                    \
  extern "C" void norm_backward_##name(                                                \
      const T *gradient, const T *x, const T *other, const double *factor,             \
      const double *term, const double *middle, const double *straight,                \
      const double *slant, const double *rest, T *to_x, T *to_other, int act,          \
      const Size *s) {                                                                 \
    using S = T;                                                                       \
    const auto [scale, shift, mean, direct, slope, constant] =                         \
        arithmetic<S>(*s, factor, term, middle, straight, slant, rest);                \
    CHOOSE(backward, gradient, x, other, scale.data(), shift.data(), mean.data(),      \
           direct.data(), slope.data(), constant.data(), to_x, to_other, *s)           \
  }
EXPORT(float, float32)
EXPORT(double, float64)
EXPORT(bf16, bfloat16)
