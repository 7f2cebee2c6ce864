/* What kernels need whose blocks share a sum over K: the SPLIT blocks of a cluster, or one alone. In front of
   matmul.cuh and wgmma.cuh, behind what their generators define. */

/* All threads of all of them; each block sees what the others wrote before. */
__device__ __forceinline__ void meet(void)
{
#if SPLIT > 1
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
  __syncthreads();
#endif
}

/* Adds to sum what block `part` of the cluster has at byte address `at` of its shared memory. */
__device__ __forceinline__ void add_from(float *sum, unsigned at, int part)
{
  float value[V];
#if SPLIT > 1
#define LOAD "ld.shared::cluster"
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(at), "r"(part));
#else
#define LOAD "ld.shared"
#endif
#if V % 4
  _Pragma("unroll") for (int l = 0; l < V; ++l)
    asm volatile(LOAD ".f32 %0, [%1];" : "=f"(value[l]) : "r"(at + l * 4) : "memory");
#else
  _Pragma("unroll") for (int l = 0; l < V; l += 4)
    asm volatile(LOAD ".v4.f32 {%0,%1,%2,%3}, [%4];"
                 : "=f"(value[l]), "=f"(value[l + 1]), "=f"(value[l + 2]), "=f"(value[l + 3])
                 : "r"(at + l * 4) : "memory");
#endif
  LANES sum[l] += value[l];
}

/* The rows of a tile that block `part` of the cluster finishes, from the sums of all in their order. Each has its own
   of the whole tile at byte address `sums` of its shared memory, in rows of row_floats, of HALVES 2 those of one half
   behind those of the other.  The tile starts at row0; there are none from row_end on. */
#define HALF (BN / HALVES)
__device__ __forceinline__ void finish_rows(PARAMETERS, unsigned sums, int row_floats, int row0, int row_end,
                                            int column0, int part, int threads)
{
  for (int v = threadIdx.x; v < BM / SPLIT * (HALF / V); v += threads) {
    const int row = part * (BM / SPLIT) + v / (HALF / V), column = v % (HALF / V) * V;
    float total[HALVES * V];

    if (row0 + row >= row_end || column0 + column >= N) continue;
    _Pragma("unroll") for (int h = 0; h < HALVES; ++h) {
      LANES total[h * V + l] = 0.0f;
      _Pragma("unroll") for (int s = 0; s < SPLIT; ++s)
        add_from(total + h * V, sums + (row * row_floats + h * HALF + column) * 4, s);
    }
    finish(ARGUMENTS row0 + row, column0 + column, total);
  }
}
