add_compile_options(-Wall -Wextra -Wshadow -Wpointer-arith $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes> -Wvla
                    -Wno-missing-field-initializers -fno-strict-aliasing -fno-common)
add_compile_definitions(_GNU_SOURCE)
if(PF_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=address,undefined)
endif()
if(PF_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "PF_FUZZ needs clang: configure a build folder of its own with -DCMAKE_C_COMPILER=clang")
  endif()
  # nvcc compiles what is the host's with gcc, which knows no fuzzer
  add_compile_options($<$<COMPILE_LANGUAGE:C>:-fsanitize=fuzzer-no-link,address,undefined>
                      $<$<COMPILE_LANGUAGE:C>:-fno-sanitize-recover=undefined> -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=address,undefined)
endif()
