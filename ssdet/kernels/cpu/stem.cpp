// The stem in evaluation: a 1x3x3 convolution of 3 channels with stride 2 in space and
// padding 1, a depthwise 5x1x1 with padding 2, scale, shift and ReLU. What is between the
// convolutions never leaves the cache: of a band of rows, five frames are kept at a time.
//
// Everything is (B, T, H, W, C) in memory.
#include "vectors.h"

#include <algorithm>
#include <vector>

namespace {

constexpr long KEPT = 512 * 1024;  // bytes of a core's cache
constexpr int COLOURS = 3, TAPS = 5, SPAN = 3 * COLOURS, PIXELS = 6;

struct Stem {
  long batch, frames, height, width, channels;
  long out_height() const { return (height + 1) / 2; }
  long out_width() const { return (width + 1) / 2; }
};

// P pixels of a vector of channels, from three rows that have room for the padding.
template <class S, bool Full, int P>
INLINE void spatial(const Value<S> *const *rows, const Value<S> *weight, Value<S> *out,
                    const Stem &s, int n) {
  using V = Vector<S>;
  const long C = s.channels;
  V sum[P] = {};
  for (int r = 0; r < 3; r++)
    for (int k = 0; k < SPAN; k++) {
      const V w = load<Full>(weight + (r * SPAN + k) * C, n);
#pragma GCC unroll 6
      for (int p = 0; p < P; p++) sum[p] += w * rows[r][p * 2 * COLOURS + k];
    }
#pragma GCC unroll 6
  for (int p = 0; p < P; p++) store<Full>(out + p * C, sum[p], n);
}

// A row of a frame, as numbers of the arithmetic's type, a pixel of zeros on each side.
template <class S>
void padded(const S *from, Value<S> *to, const Stem &s) {
  const long count = s.width * COLOURS;
  std::fill(to, to + COLOURS, Value<S>(0));
  to += COLOURS;
  FOR_CHANNELS(S, count, c, n, store<Full>(to + c, load<Full>(from + c, n), n);)
  std::fill(to + count, to + count + 2 * COLOURS, Value<S>(0));
}

template <class S>
void forward(const S *x, const Value<S> *space, const Value<S> *time,
             const Value<S> *scale, const Value<S> *shift, S *out, const Stem &s) {
  using V = Vector<S>;
  using A = Value<S>;
  const long C = s.channels, outs = s.out_height(), wide = s.out_width(), row = wide * C;
  const long band = std::clamp<long>(KEPT / long(TAPS * row * sizeof(A)), 1, 16);
  const long bands = (outs + band - 1) / band, line = (s.width + 3) * COLOURS;
#pragma omp parallel
  {
    std::vector<A> kept(TAPS * band * row), lines((2 * band + 1) * line);
#pragma omp for collapse(2) schedule(static)
    for (long b = 0; b < s.batch; b++)
      for (long task = 0; task < bands; task++) {
        const long first = task * band, last = std::min(outs, first + band);
        const long low = 2 * first - 1;  // of the input's rows
        const auto fill = [&](long t) {
          for (long h = low; h < 2 * last; h++) {
            A *to = lines.data() + (h - low) * line;
            if (h < 0 || h >= s.height)
              std::fill(to, to + line, A(0));
            else
              padded(x + ((b * s.frames + t) * s.height + h) * s.width * COLOURS, to, s);
          }
          for (long h = first; h < last; h++) {
            const A *rows[3];
            for (int r = 0; r < 3; r++) rows[r] = lines.data() + (2 * (h - first) + r) * line;
            A *to = kept.data() + (t % TAPS * band + h - first) * row;
            FOR_CHANNELS(S, C, c, n, {
              long w = 0;
              const A *at[3];
              const auto move = [&] {
                for (int r = 0; r < 3; r++) at[r] = rows[r] + 2 * w * COLOURS;
              };
              for (; w + PIXELS <= wide; w += PIXELS) {
                move();
                spatial<S, Full, PIXELS>(at, space + c, to + w * C + c, s, n);
              }
              for (; w < wide; w++) {
                move();
                spatial<S, Full, 1>(at, space + c, to + w * C + c, s, n);
              }
            })
          }
        };
        for (long t = 0; t < std::min(2l, s.frames); t++) fill(t);
        for (long t = 0; t < s.frames; t++) {
          if (t + 2 < s.frames) fill(t + 2);
          const long begin = std::max(0l, t - 2), end = std::min(s.frames, t + 3);
          const long count = (last - first) * wide;
          S *to = out + ((b * s.frames + t) * outs + first) * row;
          FOR_CHANNELS(S, C, c, n, {
            V k[TAPS];
            for (int i = 0; i < TAPS; i++) k[i] = load<Full>(time + i * C + c, n);
            const V factor = load<Full>(scale + c, n), term = load<Full>(shift + c, n);
            for (long p = 0; p < count; p++) {
              V sum = {};
              for (long f = begin; f < end; f++)
                sum += k[f - t + 2] *
                       load<Full>(kept.data() + f % TAPS * band * row + p * C + c, n);
              store<Full>(to + p * C + c, positive(sum * factor + term), n);
            }
          })
        }
      }
  }
}

}  // namespace

#define EXPORT(S, name)                                                               \
  extern "C" void stem_forward_##name(const S *x, const Value<S> *space,              \
                                      const Value<S> *time, const Value<S> *scale,    \
                                      const Value<S> *shift, S *out, const Stem *s) { \
    forward(x, space, time, scale, shift, out, *s);                                   \
  }
EXPORT(float, float32)
EXPORT(double, float64)
EXPORT(bf16, bfloat16)
