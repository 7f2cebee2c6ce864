/* Depthwise convolution out of shared memory: a block's pixels come all at once, with what its outputs see around them,
   and its weights as floats, so that nothing is waited for between taps, nor asked of any whether it lies outside.
   In front stand S, R, V, H, W, PIXEL, KH .. PW, COLUMNS, stored (the type), piece and element() as for kernels without
   shared memory, and: CHANNELS of the image and PART, how many of them a block has; ROWS and WIDTH of its pixels, PITCH
   from one row of them to the next; CHUNK, the channels that are copied at once; PACKED, whether weights lie as
   [KH,KW,C]; THREADS; UNROLL of the loop over rows of taps. */

extern __shared__ __align__(16) unsigned char shared[];

__device__ __forceinline__ float *taps_of_block() { return (float *)shared; }
__device__ __forceinline__ stored *pixels_of_block() { return (stored *)(taps_of_block() + KH * KW * PART); }

__device__ __forceinline__ void copy_chunk(stored *to, const stored *from, bool there)
{
#if __CUDA_ARCH__ >= 800
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
  constexpr int bytes = CHUNK * (int)sizeof(stored);
  const int count = there ? bytes : 0;
  if (bytes == 16) asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(count));
  else asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(at), "l"(from), "n"(bytes), "r"(count));
#else
  typedef wide<stored, CHUNK> chunk;
  const chunk none = {};
  *(chunk *)to = there ? *(const chunk *)from : none;
#endif
}

/* image: the block's first channel of its image; row and column: of its first pixel. */
__device__ __forceinline__ void fetch_pixels(const stored *image, idx row, idx column, int channels)
{
  constexpr int CHUNKS = PART / CHUNK;
  for (int k = threadIdx.x; k < ROWS * WIDTH * CHUNKS; k += THREADS) {
    const int c = k % CHUNKS * CHUNK, x = k / CHUNKS % WIDTH, y = k / CHUNKS / WIDTH;
    const idx ih = row + y, iw = column + x;
    const bool there = ih >= 0 && ih < H && iw >= 0 && iw < W && c < channels;
    const stored *from = there ? image + (ih * W + iw) * PIXEL + c : image;
    copy_chunk(pixels_of_block() + (y * PITCH + x) * PART + c, from, there);
  }
}

/* weights: of the block's first channel. */
__device__ __forceinline__ void fetch_taps(const stored *weights, int channels)
{
  constexpr int PIECE = PACKED ? CHUNK : 1, PIECES = PART / PIECE;
  for (int k = threadIdx.x; k < KH * KW * PIECES; k += THREADS) {
    const int c = k % PIECES * PIECE, t = k / PIECES;
    wide<stored, PIECE> taps = {};
    if (c < channels) taps = *(const wide<stored, PIECE> *)(weights + (PACKED ? t * CHANNELS + c : c * KH * KW + t));
    _Pragma("unroll") for (int l = 0; l < PIECE; ++l) taps_of_block()[t * PART + c + l] = to_float(taps.at[l]);
  }
}

__device__ __forceinline__ void fetched()
{
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;\ncp.async.wait_group 0;" ::: "memory");
#endif
  __syncthreads();
}

/* One row of pixels for the rows of outputs from low to high that see it: `down` rows below the first that any sees. */
__device__ __forceinline__ void add_row(float (&sum)[R * S][V], const stored *pixels, const float *taps, int down,
                                        int low, int high)
{
  const stored *row = pixels + down * DH * PITCH * PART;
  piece column[COLUMNS];
  _Pragma("unroll") for (int k = 0; k < COLUMNS; ++k) column[k] = *(const piece *)(row + k * PART);
  _Pragma("unroll") for (int r = 0; r < R; ++r) {
    if (r < low || r >= high) continue;
    _Pragma("unroll") for (int kw = 0; kw < KW; ++kw) {
      const wide<float, V> w = *(const wide<float, V> *)(taps + ((down - r) * KW + kw) * PART);
      _Pragma("unroll") for (int c = 0; c < S; ++c)
        LANES sum[r * S + c][l] = fmaf(element(column[c * SW + kw * DW], l), w.at[l], sum[r * S + c][l]);
    }
  }
}

/* pixels, taps: the thread's first. Several rows of outputs see one of pixels where none is skipped and none apart. */
__device__ __forceinline__ void add_taps(float (&sum)[R * S][V], const stored *pixels, const float *taps)
{
  _Pragma("unroll") for (int s = 0; s < R * S; ++s) LANES sum[s][l] = 0.0f;
  _Pragma("unroll") for (int down = 0; down < R - 1; ++down) add_row(sum, pixels, taps, down, 0, down + 1);
  constexpr int times = UNROLL;
#pragma unroll times
  for (int down = R - 1; down < KH; ++down) add_row(sum, pixels, taps, down, 0, R);
  _Pragma("unroll") for (int down = KH; down < KH + R - 1; ++down) add_row(sum, pixels, taps, down, down - KH + 1, R);
}
