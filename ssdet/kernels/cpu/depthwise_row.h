// One row of pixels of a depthwise 3x3x3 convolution, padding 1, stride 1 or 2.
#pragma once

#include "vectors.h"

namespace {

struct Size {
  long batch, frames, height, width, channels, stride;
  long out_height() const { return (height + stride - 1) / stride; }
  long out_width() const { return (width + stride - 1) / stride; }
};

template <class S> struct Rows {  // of one tensor
  const S *data;
  const S *zeros;
  long frames, height, row;  // row: numbers in one
  const S *at(long b, long t, long h) const {
    if (t < 0 || t >= frames || h < 0 || h >= height) return zeros;
    return data + ((b * frames + t) * height + h) * row;
  }
};

// What follows the convolution: silu(out * scale + shift); nothing without a scale.
template <class S> struct Ending {
  const Value<S> *scale, *shift;
};

template <class S, bool Full>
INLINE void finish(S *out, Vector<S> v, const Ending<S> &ending, long c, int n) {
  if (ending.scale) {
    v = v * load<Full>(ending.scale + c, n) + load<Full>(ending.shift + c, n);
    v *= sigmoid(v);
  }
  store<Full>(out, v, n);
}

template <class S, bool Full>
void forward_row(const S *const *rows, const Value<S> *weight, S *out, const Size &s,
                 const Ending<S> &ending, long c, int n) {
  using V = Vector<S>;
  const long C = s.channels;
  V k[27];
#pragma GCC unroll 27
  for (int i = 0; i < 27; i++) k[i] = load<Full>(weight + i * C + c, n);
  if (s.stride == 1) {
    V before = {}, here = {};
    for (long w = 0; w < s.width; w++) {
      V after = {};
#pragma GCC unroll 9
      for (int r = 0; r < 9; r++) {
        V x = load<Full>(rows[r] + w * C + c, n);
        before += k[3 * r + 2] * x;
        here += k[3 * r + 1] * x;
        after += k[3 * r] * x;
      }
      if (w > 0) finish<S, Full>(out + (w - 1) * C + c, before, ending, c, n);
      before = here;
      here = after;
    }
    finish<S, Full>(out + (s.width - 1) * C + c, before, ending, c, n);
    return;
  }
  V here = {};
  for (long o = 0; o < s.out_width(); o++) {
    V after = {};
    const bool pair = 2 * o + 1 < s.width;
#pragma GCC unroll 9
    for (int r = 0; r < 9; r++)
      here += k[3 * r + 1] * load<Full>(rows[r] + 2 * o * C + c, n);
    if (pair) {
#pragma GCC unroll 9
      for (int r = 0; r < 9; r++) {
        V x = load<Full>(rows[r] + (2 * o + 1) * C + c, n);
        here += k[3 * r + 2] * x;
        after += k[3 * r] * x;
      }
    }
    finish<S, Full>(out + o * C + c, here, ending, c, n);
    here = after;
  }
}

}  // namespace
