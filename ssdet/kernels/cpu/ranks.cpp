// Ranks of a class's positive rows among all its rows, without sorting the others: every
// row falls between two positives, and counting how many do gives the ranks of all.
#include "vectors.h"

#include <algorithm>
#include <vector>

namespace {

constexpr long PIECE = 2048;         // rows that are prepared in one go
constexpr int LEAST = 10, MOST = 16;  // bits of a bin's number

struct Size {
  long rows, positives;
};

template <class S> struct Ranked;
template <> struct Ranked<float> {
  using Bits = uint32_t;
  using Key = uint64_t;
};
template <> struct Ranked<double> {
  using Bits = uint64_t;
  using Key = unsigned __int128;
};
template <class S> using Key = typename Ranked<S>::Key;

// Rises as the score falls, and for equal scores with the row.
template <class S> INLINE Key<S> key(S score, long row) {
  using Bits = typename Ranked<S>::Bits;
  constexpr Bits SIGN = Bits(1) << (8 * sizeof(Bits) - 1);
  Bits bits;
  score += S(0);  // -0 is 0
  std::memcpy(&bits, &score, sizeof(bits));
  bits = bits & SIGN ? bits : SIGN - 1 - bits;
  return Key<S>(bits) << (4 * sizeof(Key<S>)) | Key<S>(row);
}

// Bins of equal width over the positives' scores, 0 for the highest. No row of a higher
// score is in a later bin: subtraction and product round monotonically.
template <class S> struct Bins {
  S high = 0, per_score = 0;
  long count = 1;

  Bins(const S *best, long positives) {
    long first = 0, last = positives - 1;
    while (first < positives && std::isinf(best[first])) first++;
    while (last >= 0 && std::isinf(best[last])) last--;
    if (first >= last) return;
    const long edge = (last - first) / 1000;  // lest a few outliers widen all bins
    int bits = LEAST;
    while (bits < MOST && (1L << bits) < 8 * positives) bits++;
    const S scale = S(1L << bits) / (best[first + edge] - best[last - edge]);
    if (!(scale > 0) || std::isinf(scale)) return;
    high = best[first + edge], per_score = scale, count = 1L << bits;
  }

  int32_t of(S score) const {
    S place = (high - score) * per_score;  // 0 where all are in one bin
    place = place < S(count - 1) ? place : S(count - 1);
    return int32_t(place > 0 ? place : S(0));
  }
};

// best: scores of the positives, falling, equal ones in the order of their rows; row:
// their numbers; ahead: the rows that rank before each
template <class S>
void ranks(const S *scores, const S *best, const long *row, long *ahead,
           const Size &s) {
  const Bins<S> bins(best, s.positives);
  std::vector<Key<S>> keys(s.positives + 2, ~Key<S>(0));
  std::vector<int32_t> first(bins.count + 1);  // positives in earlier bins
  for (long p = 0; p < s.positives; p++) {
    keys[p] = key(best[p], row[p]);
    first[bins.of(best[p]) + 1]++;
  }
  for (long b = 0; b < bins.count; b++) first[b + 1] += first[b];

  // rows that are ahead of positive p and of none before it
  std::vector<int32_t> between(s.positives + 1);
  int32_t bin[PIECE];
  Key<S> own[PIECE];
  for (long begin = 0; begin < s.rows; begin += PIECE) {
    const long many = std::min(PIECE, s.rows - begin);
    for (long i = 0; i < many; i++) bin[i] = bins.of(scores[begin + i]);
    for (long i = 0; i < many; i++) own[i] = key(scores[begin + i], begin + i);
    for (long i = 0; i < many; i++) {
      // those of later bins are not before it, so the first steps need no condition
      long p = first[bin[i]];
      p += keys[p] <= own[i];
      p += keys[p] <= own[i];
      if (keys[p] <= own[i]) {
        const auto end = keys.begin() + first[bin[i] + 1];
        p = std::upper_bound(keys.begin() + p, end, own[i]) - keys.begin();
      }
      between[p]++;
    }
  }
  long sum = 0;
  for (long p = 0; p < s.positives; p++) ahead[p] = sum += between[p];
}

}  // namespace

#define EXPORT(S, name)                                                                \
  extern "C" void ranks_##name(const S *scores, const S *best, const long *row,        \
                               long *ahead, const Size *s) {                           \
    ranks(scores, best, row, ahead, *s);                                               \
  }
EXPORT(float, float32)
EXPORT(double, float64)
