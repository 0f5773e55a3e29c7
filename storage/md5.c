#include "storage/md5.h"

#include <string.h>

/* floor (2^32 × |sin (i + 1)|), section 3.4. */
static const uint32_t sines[64] = {
  0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
  0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
  0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
  0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
  0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
  0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
  0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
  0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

/* ---- blocks ----------------------------------------------------------------------------- */

typedef uint32_t words4 __attribute__ ((vector_size (16)));

/* The auxiliary functions F, G, H, I of section 3.4, in their shorter forms. */
#define MD5_F(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define MD5_G(x, y, z) (((z) & (x)) + (~(z) & (y)))
#define MD5_H(x, y, z) ((x) ^ (y) ^ (z))
#define MD5_I(x, y, z) ((y) ^ ((x) | ~(z)))

#define MD5_STEP(f, a, b, c, d, word, sine, left)                                                  \
  (a) += (word) + (sine);                                                                          \
  (a) += f (b, c, d);                                                                              \
  (a) = ((a) << (left)) | ((a) >> (32 - (left)));                                                  \
  (a) += (b)

/* Sixteen steps, of which step I takes the word I * STRIDE + FIRST. */
#define MD5_ROUND(f, round, first, stride, left0, left1, left2, left3)                             \
  _Pragma ("GCC unroll 4") for (unsigned int i = 0; i < 16; i += 4)                                \
  {                                                                                                \
    const uint32_t *sine = sines + 16 * (round) + i;                                               \
    MD5_STEP (f, a, b, c, d, w[(i * (stride) + (first)) % 16], sine[0], left0);                    \
    MD5_STEP (f, d, a, b, c, w[((i + 1) * (stride) + (first)) % 16], sine[1], left1);              \
    MD5_STEP (f, c, d, a, b, w[((i + 2) * (stride) + (first)) % 16], sine[2], left2);              \
    MD5_STEP (f, b, c, d, a, w[((i + 3) * (stride) + (first)) % 16], sine[3], left3);              \
  }

#define MD5_ROUNDS                                                                                 \
  MD5_ROUND (MD5_F, 0, 0, 1, 7, 12, 17, 22)                                                        \
  MD5_ROUND (MD5_G, 1, 1, 5, 5, 9, 14, 20)                                                         \
  MD5_ROUND (MD5_H, 2, 5, 3, 4, 11, 16, 23)                                                        \
  MD5_ROUND (MD5_I, 3, 0, 7, 6, 10, 15, 21)

/* Messages' words have their lowest byte first. */
static inline uint32_t
word_at (const uint8_t *data)
{
  return (uint32_t) data[0] | (uint32_t) data[1] << 8 | (uint32_t) data[2] << 16
         | (uint32_t) data[3] << 24;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline words4
words_at (const uint8_t *data)
{
  words4 words;
  memcpy (&words, data, sizeof words);
  return words;
}
#else
static inline words4
words_at (const uint8_t *data)
{
  return (words4){ word_at (data), word_at (data + 4), word_at (data + 8), word_at (data + 12) };
}
#endif

/* Four words at AT of four messages: word K of message I becomes TO[K * STRIDE + I]. */
static inline __attribute__ ((always_inline)) void
turn_words (const uint8_t *const data[4], size_t at, uint32_t *to, size_t stride)
{
  words4 p = words_at (data[0] + at), q = words_at (data[1] + at);
  words4 r = words_at (data[2] + at), s = words_at (data[3] + at);
  words4 pq = __builtin_shufflevector (p, q, 0, 4, 1, 5);
  words4 rs = __builtin_shufflevector (r, s, 0, 4, 1, 5);
  words4 words[4];
  words[0] = __builtin_shufflevector (pq, rs, 0, 1, 4, 5);
  words[1] = __builtin_shufflevector (pq, rs, 2, 3, 6, 7);
  pq = __builtin_shufflevector (p, q, 2, 6, 3, 7);
  rs = __builtin_shufflevector (r, s, 2, 6, 3, 7);
  words[2] = __builtin_shufflevector (pq, rs, 0, 1, 4, 5);
  words[3] = __builtin_shufflevector (pq, rs, 2, 3, 6, 7);
  for (size_t k = 0; k < 4; k++)
    memcpy (to + k * stride, &words[k], sizeof words[k]);
}

/* One implementation for all vectors. A compiler splits up what is wider than its registers: two
 * vectors side by side keep a processor busier than one, whose steps follow from each other. */
#define MD5_KERNEL(name, LANES, target)                                                            \
  target static void name (uint32_t *const states[], const uint8_t *const data[], size_t count)    \
  {                                                                                                \
    typedef uint32_t words __attribute__ ((vector_size (4 * LANES)));                              \
    words a, b, c, d, w[16];                                                                       \
    for (size_t lane = 0; lane < LANES; lane++)                                                    \
      {                                                                                            \
        a[lane] = states[lane][0];                                                                 \
        b[lane] = states[lane][1];                                                                 \
        c[lane] = states[lane][2];                                                                 \
        d[lane] = states[lane][3];                                                                 \
      }                                                                                            \
    for (size_t at = 0; at < count * MD5_BLOCK; at += MD5_BLOCK)                                   \
      {                                                                                            \
        const words a0 = a, b0 = b, c0 = c, d0 = d;                                                \
        for (size_t lane = 0; lane < LANES; lane += 4)                                             \
          for (size_t word = 0; word < 16; word += 4)                                              \
            turn_words (data + lane, at + 4 * word, (uint32_t *) &w[word] + lane, LANES);          \
        MD5_ROUNDS                                                                                 \
        a += a0;                                                                                   \
        b += b0;                                                                                   \
        c += c0;                                                                                   \
        d += d0;                                                                                   \
      }                                                                                            \
    for (size_t lane = 0; lane < LANES; lane++)                                                    \
      {                                                                                            \
        states[lane][0] = a[lane];                                                                 \
        states[lane][1] = b[lane];                                                                 \
        states[lane][2] = c[lane];                                                                 \
        states[lane][3] = d[lane];                                                                 \
      }                                                                                            \
  }

static void
add_1 (uint32_t *const states[], const uint8_t *const data[], size_t count)
{
  uint32_t a = states[0][0], b = states[0][1], c = states[0][2], d = states[0][3], w[16];
  for (size_t at = 0; at < count * MD5_BLOCK; at += MD5_BLOCK)
    {
      const uint32_t a0 = a, b0 = b, c0 = c, d0 = d;
      for (size_t i = 0; i < 16; i++)
        w[i] = word_at (data[0] + at + 4 * i);
      MD5_ROUNDS
      a += a0;
      b += b0;
      c += c0;
      d += d0;
    }
  states[0][0] = a;
  states[0][1] = b;
  states[0][2] = c;
  states[0][3] = d;
}

#define MD5_ANY_PROCESSOR
MD5_KERNEL (add_8, 8, MD5_ANY_PROCESSOR)
#ifdef __x86_64__
MD5_KERNEL (add_16_avx2, 16, __attribute__ ((target ("avx2"))))
#endif

const struct md5_kernel *
md5_kernel (size_t number)
{
  static const struct md5_kernel kernels[] = {
#ifdef __x86_64__
    { "AVX2", 16, add_16_avx2 },
#endif
    { "vectors of 16 bytes", 8, add_8 },
    { "one at a time", 1, add_1 },
  };
#ifdef __x86_64__
  if (!__builtin_cpu_supports ("avx2"))
    number++;
#endif
  return number < sizeof kernels / sizeof *kernels ? &kernels[number] : NULL;
}

/* ---- messages --------------------------------------------------------------------------- */

void
md5_init (struct md5 *sum)
{
  *sum = (struct md5){ .state = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 } };
}

static size_t
smaller (size_t left, size_t right)
{
  return left < right ? left : right;
}

/* Up to the next block's beginning, or what there is. */
static void
fill_rest (struct md5_input *input)
{
  struct md5 *sum = input->sum;
  uint32_t *const state = sum->state;
  const uint8_t *const block = sum->rest;
  size_t held = sum->size % MD5_BLOCK;
  size_t size = smaller (input->size, MD5_BLOCK - held);
  if (size == 0)
    return;
  memcpy (sum->rest + held, input->data, size);
  sum->size += size;
  input->data += size;
  input->size -= size;
  if (held + size == MD5_BLOCK)
    add_1 (&state, &block, 1);
}

/* Adds COUNT blocks to each of so many messages, at most as many as KERNEL has lanes. */
static void
add_in_lanes (const struct md5_kernel *kernel, struct md5_input *inputs, size_t messages,
              size_t count)
{
  uint32_t *states[MD5_LANES_MAX], unused[4] = { 0 };
  const uint8_t *data[MD5_LANES_MAX];
  for (size_t lane = 0; lane < kernel->lanes; lane++)
    {
      states[lane] = lane < messages ? inputs[lane].sum->state : unused;
      data[lane] = inputs[lane < messages ? lane : 0].data;
    }
  kernel->add (states, data, count);
  for (size_t lane = 0; lane < messages; lane++)
    {
      inputs[lane].sum->size += count * MD5_BLOCK;
      inputs[lane].data += count * MD5_BLOCK;
      inputs[lane].size -= count * MD5_BLOCK;
    }
}

/* Takes what is no block yet, and leaves out of COUNT the inputs that have no more. */
static size_t
keep_those_with_blocks (struct md5_input *inputs, size_t count)
{
  size_t kept = 0;
  for (size_t i = 0; i < count; i++)
    {
      struct md5_input input = inputs[i];
      if (input.sum->size % MD5_BLOCK != 0 || input.size < MD5_BLOCK)
        fill_rest (&input);
      if (input.size >= MD5_BLOCK)
        inputs[kept++] = input;
      else
        fill_rest (&input);
    }
  return kept;
}

/* The first from NUMBER on, or one with fewer lanes that are enough for so many MESSAGES. */
static const struct md5_kernel *
kernel_for (size_t number, size_t messages)
{
  const struct md5_kernel *kernel = md5_kernel (number);
  for (const struct md5_kernel *next = NULL;
       (next = md5_kernel (number + 1)) != NULL && next->lanes >= messages; number++)
    kernel = next;
  return kernel;
}

void
md5_add (size_t number, struct md5_input *inputs, size_t count)
{
  while ((count = keep_those_with_blocks (inputs, count)) > 0)
    {
      const struct md5_kernel *kernel = kernel_for (number, count);
      size_t messages = smaller (count, kernel->lanes);
      size_t size = inputs[0].size;
      for (size_t i = 1; i < messages; i++)
        size = smaller (size, inputs[i].size);
      add_in_lanes (kernel, inputs, messages, size / MD5_BLOCK);
    }
}

static void
md5_put_word (uint32_t word, uint8_t *to)
{
  for (size_t i = 0; i < 4; i++)
    to[i] = (uint8_t) (word >> 8 * i);
}

void
md5_finish (struct md5 *sum, uint8_t digest[static MD5_SIZE])
{
  uint8_t padding[MD5_BLOCK + 8] = { 0x80 };
  size_t zeros = (MD5_BLOCK + 55 - sum->size % MD5_BLOCK) % MD5_BLOCK;
  md5_put_word ((uint32_t) (sum->size << 3), padding + 1 + zeros);
  md5_put_word ((uint32_t) (sum->size >> 29), padding + 5 + zeros);
  struct md5_input last = { .sum = sum, .data = padding, .size = 1 + zeros + 8 };
  md5_add (0, &last, 1);
  for (size_t i = 0; i < 4; i++)
    md5_put_word (sum->state[i], digest + 4 * i);
}
