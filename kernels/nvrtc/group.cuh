/* Mean and deviation of groups of channels of an image. A block has GROUPS groups side by side and CHUNK of the D
   pixels, and the SPLIT blocks of a cluster have an image's between them. Threads along x have V neighbouring channels
   each, threads along y every DOWN-th pixel.  Each thread has moments of its own pixels; these are joined about their
   common mean, by warps and then over the blocks, always in the same order.

   Defined by the generator:
     V, ACROSS, DOWN, D, CHUNK, SPLIT
     G            channels of a group
     U            neighbours of a thread that are of one group, wherever it stands
     EPSILON */
#define UNITS (V / U)                   /* of a thread */
#define GROUPS (ACROSS * V / G)
#define GROUP_UNITS (G / U)
#define WARPS (ACROSS * DOWN / 32)
#define UNIT_ROW (DOWN | 1)             /* odd: neighbours write to different banks */
#define EACH_UNIT _Pragma("unroll") for (int u = 0; u < UNITS; ++u)
#define THREAD ((int)(threadIdx.y * ACROSS + threadIdx.x))
#if SPLIT > 1
#define CLUSTER __cluster_dims__(1, 1, SPLIT)
#define PART ((int)blockIdx.z)
#define ARRIVE asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory")
#define WAIT asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory")
#else
#define PART 0
#define ARRIVE
#define WAIT
#endif

struct moments { float mean, squares; };        /* squares: of what values are off the mean, summed */
struct group_norm { float mean, scale; };

struct statistics {
  moments    of_thread[ACROSS * UNITS][UNIT_ROW], of_block[GROUPS];
  group_norm of_image[GROUPS];
};

__device__ __forceinline__ int pixels_of_block(int part) { return min(max(D - part * CHUNK, 0), CHUNK); }
__device__ __forceinline__ int pixels_of_thread(int count, int y) { return (count - y + DOWN - 1) / DOWN; }

__device__ __forceinline__ float over_warp(float v)
{
  _Pragma("unroll") for (int m = 16; m; m /= 2) v += __shfl_xor_sync(0xffffffffu, v, m);
  return v;
}

/* Puts down what a thread has seen of `pixels` pixels: sums of what values are off `first`, and of its squares. */
__device__ __forceinline__ void put_down(statistics *s, const float first[UNITS], const float sum[UNITS],
                                         const float squares[UNITS], int pixels)
{
  const float each = pixels ? 1.0f / (float)(pixels * U) : 0.0f;

  EACH_UNIT s->of_thread[threadIdx.x * UNITS + u][threadIdx.y] =
      { pixels ? first[u] + sum[u] * each : 0.0f, fmaxf(squares[u] - sum[u] * sum[u] * each, 0.0f) };
}

/* A warp joins a group. count: the block's pixels */
__device__ __forceinline__ void join_threads(statistics *s, int count)
{
  const float each = count ? 1.0f / ((float)count * G) : 0.0f;

  for (int g = THREAD / 32; g < GROUPS; g += WARPS) {
    float mean = 0.0f, squares = 0.0f;

    for (int i = THREAD % 32; i < GROUP_UNITS * DOWN; i += 32)
      mean += (float)(pixels_of_thread(count, i % DOWN) * U) * s->of_thread[g * GROUP_UNITS + i / DOWN][i % DOWN].mean;
    mean = over_warp(mean) * each;
    for (int i = THREAD % 32; i < GROUP_UNITS * DOWN; i += 32) {
      const moments m = s->of_thread[g * GROUP_UNITS + i / DOWN][i % DOWN];

      squares += m.squares + (float)(pixels_of_thread(count, i % DOWN) * U) * (m.mean - mean) * (m.mean - mean);
    }
    squares = over_warp(squares);
    if (THREAD % 32 == 0) s->of_block[g] = { mean, squares };
  }
}

/* What block `part` of the cluster has there. */
__device__ __forceinline__ moments from_block(const moments *own, int part)
{
#if SPLIT > 1
  unsigned at;
  moments  m;

  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
               : "=r"(at) : "r"((unsigned)__cvta_generic_to_shared(own)), "r"(part));
  asm volatile("ld.shared::cluster.v2.f32 {%0,%1}, [%2];" : "=f"(m.mean), "=f"(m.squares) : "r"(at) : "memory");
  return m;
#else
  return *own;
#endif
}

__device__ __forceinline__ void join_blocks(statistics *s)
{
  for (int g = THREAD; g < GROUPS; g += ACROSS * DOWN) {
    moments of[SPLIT];
    float   mean = 0.0f, squares = 0.0f;

    _Pragma("unroll") for (int part = 0; part < SPLIT; ++part) of[part] = from_block(&s->of_block[g], part);
    _Pragma("unroll") for (int part = 0; part < SPLIT; ++part) mean += (float)pixels_of_block(part) * of[part].mean;
    mean *= 1.0f / (float)D;
    _Pragma("unroll") for (int part = 0; part < SPLIT; ++part)
      squares += of[part].squares +
                 (float)pixels_of_block(part) * G * (of[part].mean - mean) * (of[part].mean - mean);
    s->of_image[g] = { mean, rsqrtf(squares * (1.0f / ((float)D * G)) + EPSILON) };
  }
}

/* Behind put_down: the norms of all groups. Nobody leaves before the WAIT at the kernel's end: others may read here. */
__device__ __forceinline__ void join(statistics *s, int count)
{
  __syncthreads();
  join_threads(s, count);
  __syncthreads();
  ARRIVE;
  WAIT;
  join_blocks(s);
  __syncthreads();
  ARRIVE;
}
