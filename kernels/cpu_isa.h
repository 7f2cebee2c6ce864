/* Instruction sets of the CPU kernels.  Every kernel file compiles its loops once per set, from one source: a body that
   is always inlined, and PF_ISA_VARIANTS that makes a copy of it for each set.  Which copy runs is the caller's choice
   (the device's cap), not the loader's, so that a plan for AVX2 can be made and checked on a machine with more. */
#ifndef PF_KERNELS_CPU_ISA_H
#define PF_KERNELS_CPU_ISA_H

typedef enum pf_isa { PF_ISA_BASE, PF_ISA_AVX2, PF_ISA_AVX512, PF_ISA_COUNT } pf_isa;

/* Raised when a CPU kernel's speed or results change: part of the device class, so that older timings are not used. */
#define PF_CPU_KERNEL_REVISION 2

#define PF_INLINE static inline __attribute__((always_inline))

/* Math of kernels: no errno, and conditions may be computed both ways; NaN and infinities are as everywhere.  First
   line of a kernel's source. */
#if defined(__clang__)
/* Before a loop: its rounds do not depend on each other. */
#define PF_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define PF_KERNEL_MATH \
    _Pragma("clang diagnostic ignored \"-Wpsabi\"") _Pragma("clang diagnostic ignored \"-Wpass-failed\"")
#else
#define PF_INDEPENDENT _Pragma("GCC ivdep")
#define PF_KERNEL_MATH _Pragma("GCC optimize(\"no-math-errno\", \"no-trapping-math\")")
#endif

#if defined(__x86_64__) && defined(__clang__)
#define PF_TARGET_AVX2   __attribute__((target("avx2,fma,f16c")))
#define PF_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#elif defined(__x86_64__)
#define PF_TARGET_AVX2   __attribute__((target("avx2,fma,f16c")))
#define PF_TARGET_AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,prefer-vector-width=512")))
#else
#define PF_TARGET_AVX2
#define PF_TARGET_AVX512
#endif

/* In front of a function of the references: compiled a second time for AVX2, which the loader takes where the machine
   has it.  Without FMA: contraction would change the last bit from machine to machine. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define PF_WIDE __attribute__((target_clones("default", "avx2")))
#else
#define PF_WIDE
#endif

/* Defines name_base, name_avx2 and name_avx512 with these parameters, each a call of name_body with these arguments,
   and the table name_table[PF_ISA_COUNT] of them.
   PF_ISA_VARIANTS(void, scale, (const float *x, float *y, long n), (x, y, n)) */
#define PF_ISA_VARIANTS(type, name, parameters, arguments)                          \
    static type name##_base parameters { return name##_body arguments; }            \
    PF_TARGET_AVX2 static type name##_avx2 parameters { return name##_body arguments; }      \
    PF_TARGET_AVX512 static type name##_avx512 parameters { return name##_body arguments; }  \
    static type (*const name##_table[PF_ISA_COUNT]) parameters = { name##_base, name##_avx2, name##_avx512 };

#endif
