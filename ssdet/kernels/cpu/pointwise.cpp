// 1x1x1 convolutions as matrix products over pixels, with what follows them.
#include "product.h"

namespace {

template <class S>
void forward(const S *x, const Value<S> *weight, const S *other, const Value<S> *scale,
             const Value<S> *shift, S *out, int act, const Product &s) {
  const auto packed = pack<S>(weight, s);
#pragma omp parallel for schedule(static)
  for (long row = 0; row < s.rows; row += ROWS)
    multiply_rows(x + row * s.inputs, packed, other ? other + row * s.outputs : other,
                  scale, shift, out + row * s.outputs, std::min(ROWS, s.rows - row),
                  act, s);
}

}  // namespace

#define EXPORT(S, name)                                                                \
  extern "C" void pointwise_forward_##name(                                            \
      const S *x, const Value<S> *weight, const S *other, const Value<S> *scale,       \
      const Value<S> *shift, S *out, int act, const Product *s) {                         \
    forward(x, weight, other, scale, shift, out, act, *s);                             \
  }
EXPORT(float, float32)
EXPORT(double, float64)
EXPORT(bf16, bfloat16)
