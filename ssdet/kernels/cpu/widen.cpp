// The first half of a block, in evaluation: 1x1x1 convolution, scale, shift and ReLU,
// then the depthwise 3x3x3 convolution. The wide map in between never leaves the cache:
// of a band of rows, three frames of it are kept at a time.
#include "depthwise_row.h"
#include "product.h"

namespace {

constexpr long KEPT = 640 * 1024, FEWEST = 8;  // bytes of a core's cache; frames

struct Widen {
  long batch, frames, height, width, inputs, channels, stride, threads;
};

template <class S>
void widen(const S *x, const Value<S> *expand, const Value<S> *scale,
           const Value<S> *shift, const Value<S> *weight, const Ending<S> &ending, S *out,
           const Widen &w) {
  const Size s{w.batch, w.frames, w.height, w.width, w.channels, w.stride};
  const Product product{0, w.inputs, w.channels, 1, w.inputs};
  const auto packed = pack<S>(expand, product);
  const long row = w.width * w.channels, outs = s.out_height();
  const long fit = KEPT / long(3 * row * sizeof(S));
  long bands = outs / std::max(1l, (fit - 3 + w.stride) / w.stride) + 1;
  const long band = (outs + bands - 1) / bands;
  bands = (outs + band - 1) / band;
  // pieces in time repeat two frames: only as many as the threads need
  const long wanted = (3 * w.threads + w.batch * bands - 1) / (w.batch * bands);
  const long piece = std::max(FEWEST, (w.frames + wanted - 1) / wanted);
  const long pieces = (w.frames + piece - 1) / piece;
  const std::vector<S> zeros(row);
#pragma omp parallel
  {
    std::vector<S> kept(3 * ((band - 1) * w.stride + 3) * row);
#pragma omp for collapse(3) schedule(static)
    for (long b = 0; b < w.batch; b++)
      for (long p = 0; p < pieces; p++)
        for (long first = 0; first < outs; first += band) {
          const long last = std::min(outs, first + band);
          const long low = std::max(0l, first * w.stride - 1);
          const long high = std::min(w.height, (last - 1) * w.stride + 2);
          const long frame = (high - low) * row;
          const long begin = p * piece, end = std::min(w.frames, begin + piece);
          const auto fill = [&](long t) {
            const S *from = x + ((b * w.frames + t) * w.height + low) * w.width * w.inputs;
            S *to = kept.data() + t % 3 * frame;
            const long pixels = (high - low) * w.width;
            for (long i = 0; i < pixels; i += ROWS)
              multiply_rows<S>(from + i * w.inputs, packed, nullptr, scale, shift,
                               to + i * w.channels, std::min(ROWS, pixels - i), RELU,
                               product);
          };
          if (begin > 0) fill(begin - 1);
          fill(begin);
          for (long t = begin; t < end; t++) {
            if (t + 1 < w.frames) fill(t + 1);
            for (long h = first; h < last; h++) {
              const S *rows[9];
              for (int r = 0; r < 9; r++) {
                const long at = t + r / 3 - 1, in = h * w.stride + r % 3 - 1;
                const bool there = at >= 0 && at < w.frames && in >= 0 && in < w.height;
                rows[r] = there ? kept.data() + at % 3 * frame + (in - low) * row
                                : zeros.data();
              }
              S *to = out + ((b * w.frames + t) * outs + h) * s.out_width() * w.channels;
              FOR_CHANNELS(S, w.channels, c, n,
                           forward_row<S, Full>(rows, weight, to, s, ending, c, n);)
            }
          }
        }
  }
}

}  // namespace

#define EXPORT(S, name)                                                               \
  extern "C" void widen_forward_##name(                                               \
      const S *x, const Value<S> *expand, const Value<S> *scale, const Value<S> *shift, \
      const Value<S> *weight, const Value<S> *after_scale,                            \
      const Value<S> *after_shift, S *out, const Widen *w) {                          \
    widen<S>(x, expand, scale, shift, weight, {after_scale, after_shift}, out, *w);   \
  }
EXPORT(float, float32)
EXPORT(double, float64)
EXPORT(bf16, bfloat16)
