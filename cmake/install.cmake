# What cmake --install adds to the programs and libraries, which their own folders install: headers, the pkg-config file, the CMake package,
# bash completion.  Everything finds everything else by where it lies itself, so the tree may be moved.
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/planfarm)
set(header_folder ${CMAKE_INSTALL_INCLUDEDIR}/planfarm)

# planfarm.h and what it includes, under the names by which it includes them.
install(FILES ${CMAKE_SOURCE_DIR}/engine/planfarm.h DESTINATION ${header_folder})
foreach(header base/alloc.h base/buf.h base/error_list.h base/hash.h base/memory.h base/status.def base/status.h base/timing_record.h
        engine/device.h engine/dtype.h engine/dtypes.def engine/rank.h engine/tensor.h)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${CMAKE_SOURCE_DIR}/${header} DESTINATION ${header_folder}/${folder})
endforeach()

file(RELATIVE_PATH pkgconfig_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pkgconfig_to_prefix ${pkgconfig_to_prefix})
configure_file(${CMAKE_CURRENT_LIST_DIR}/planfarm.pc.in packaging/planfarm.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/packaging/planfarm.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(EXPORT planfarm NAMESPACE planfarm:: FILE planfarm-targets.cmake DESTINATION ${package_folder})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/planfarm-config.cmake.in packaging/planfarm-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(packaging/planfarm-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/packaging/planfarm-config.cmake ${CMAKE_BINARY_DIR}/packaging/planfarm-config-version.cmake
        DESTINATION ${package_folder})

# The completion comes from the verb table, so the program itself writes it.
set(completion ${CMAKE_BINARY_DIR}/packaging/planfarm)
set(shells bash zsh fish)
foreach(shell ${shells})
  add_custom_command(OUTPUT ${completion}.${shell} COMMAND planfarm completion ${shell} > ${completion}.${shell} DEPENDS planfarm VERBATIM)
endforeach()
list(TRANSFORM shells PREPEND ${completion}. OUTPUT_VARIABLE completions)
add_custom_target(planfarm_completion ALL DEPENDS ${completions})
install(FILES ${completion}.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME planfarm)
install(FILES ${completion}.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _planfarm)
install(FILES ${completion}.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
