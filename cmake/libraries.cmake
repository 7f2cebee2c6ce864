# Debian's packages, by pkg-config where they have it.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(SODIUM     REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(NETTLE     REQUIRED IMPORTED_TARGET nettle)
pkg_check_modules(ZMQ        REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(LMDB       REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(CURL       REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(JANSSON    REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(CMOCKA     REQUIRED IMPORTED_TARGET cmocka)
find_package(dnnl CONFIG REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_program(PROTOC_C protoc-c REQUIRED)

# pf_protobuf_c(TARGET file.proto): adds the generated file.pb-c.{c,h} to TARGET; include as "<folder>/file.pb-c.h".
function(pf_protobuf_c target proto)
  get_filename_component(name ${proto} NAME_WE)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  get_filename_component(sub ${proto} DIRECTORY)
  set(relative ${folder}/${proto})
  set(stem ${CMAKE_BINARY_DIR}/${folder}/${sub}/${name}.pb-c)
  string(REPLACE "//" "/" stem ${stem})
  add_custom_command(
    OUTPUT ${stem}.c ${stem}.h
    COMMAND ${PROTOC_C} --proto_path=${CMAKE_SOURCE_DIR} --c_out=${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR}/${relative}
    DEPENDS ${CMAKE_SOURCE_DIR}/${relative} VERBATIM)
  target_sources(${target} PRIVATE ${stem}.c ${stem}.h)
  set_source_files_properties(${stem}.c PROPERTIES COMPILE_OPTIONS "-w")
  target_link_libraries(${target} PUBLIC PkgConfig::PROTOBUF_C)
endfunction()

# pf_embed(TARGET file symbol): the text of a file as `const char symbol[]`, for code that is compiled at run time.
function(pf_embed target file symbol)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${file} -DOUT=${out} -DSYMBOL=${symbol} -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
