// Depthwise 5x1x1 convolution, padding 2, and the gradient of its weights. That of its
// input is the same with the weights mirrored.
//
// Everything is (B, T, N, C) in memory, N pixels of a frame. A task is a block of pixels
// through all frames, which stay in the cache for the five times they are needed.
#include "vectors.h"

#include <algorithm>
#include <vector>

namespace {

constexpr long BLOCK = 64;  // pixels
constexpr int TAPS = 5;

struct Size {
  long batch, frames, pixels, channels;
};

template <class S>
void forward(const S *x, const Value<S> *weight, S *out, const Size &s) {
  using V = Vector<S>;
  const long C = s.channels, blocks = (s.pixels + BLOCK - 1) / BLOCK;
#pragma omp parallel for collapse(2) schedule(static)
  for (long b = 0; b < s.batch; b++)
    for (long block = 0; block < blocks; block++)
      for (long t = 0; t < s.frames; t++) {
        const long first = block * BLOCK, last = std::min(s.pixels, first + BLOCK);
        const int low = int(std::max(0l, 2 - t));
        const int high = int(std::min(long(TAPS), s.frames + 2 - t));
        FOR_CHANNELS(S, C, c, n, {
          V k[TAPS];
          for (int i = 0; i < TAPS; i++) k[i] = load<Full>(weight + i * C + c, n);
          for (long p = first; p < last; p++) {
            V sum = {};
            if (low == 0 && high == TAPS)
              for (int i = 0; i < TAPS; i++)
                sum += k[i] * load<Full>(
                           x + ((b * s.frames + t + i - 2) * s.pixels + p) * C + c, n);
            else
              for (int i = low; i < high; i++)
                sum += k[i] * load<Full>(
                           x + ((b * s.frames + t + i - 2) * s.pixels + p) * C + c, n);
            store<Full>(out + ((b * s.frames + t) * s.pixels + p) * C + c, sum, n);
          }
        })
      }
}

template <class S>
void weight_gradient(const S *x, const S *gradient, Value<S> *out, const Size &s) {
  using V = Vector<S>;
  const long C = s.channels, blocks = (s.pixels + BLOCK - 1) / BLOCK, size = TAPS * C;
  std::vector<Value<S>> sums(s.batch * blocks * size);
#pragma omp parallel for collapse(2) schedule(static)
  for (long b = 0; b < s.batch; b++)
    for (long block = 0; block < blocks; block++)
      for (long t = 0; t < s.frames; t++) {
        const long first = block * BLOCK, last = std::min(s.pixels, first + BLOCK);
        const int low = int(std::max(0l, 2 - t));
        const int high = int(std::min(long(TAPS), s.frames + 2 - t));
        Value<S> *sum = sums.data() + (b * blocks + block) * size;
        FOR_CHANNELS(S, C, c, n, {
          for (int i = low; i < high; i++) {
            V k = load<Full>(sum + i * C + c, n);
            for (long p = first; p < last; p++)
              k += load<Full>(gradient + ((b * s.frames + t) * s.pixels + p) * C + c, n) *
                   load<Full>(x + ((b * s.frames + t + i - 2) * s.pixels + p) * C + c, n);
            store<Full>(sum + i * C + c, k, n);
          }
        })
      }
  std::vector<double> total(size);
  for (size_t task = 0; task < sums.size() / size; task++)
    for (long i = 0; i < size; i++) total[i] += sums[task * size + i];
  for (long i = 0; i < size; i++) out[i] = Value<S>(total[i]);
}

}  // namespace

#define EXPORT(S, name)                                                              \
  extern "C" void temporal_forward_##name(const S *x, const Value<S> *weight, S *out, \
                                          const Size *s) {                           \
    forward(x, weight, out, *s);                                                     \
  }                                                                                  \
  extern "C" void temporal_weight_gradient_##name(const S *x, const S *gradient,     \
                                                  Value<S> *out, const Size *s) {    \
    weight_gradient(x, gradient, out, *s);                                           \
  }
EXPORT(float, float32)
EXPORT(double, float64)
EXPORT(bf16, bfloat16)
