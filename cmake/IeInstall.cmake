# What `cmake --install` puts where, and how another project finds it: find_package(imagen_editor)
# gives the target imagen_editor::imagen_editor, `pkg-config imagen_editor` the same as flags. The
# tree may be moved after installation.
include(CMakePackageConfigHelpers)

set(IE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/imagen_editor)
set(IE_MODEL_DIR ${CMAKE_INSTALL_DATADIR}/imagen-editor/models)

# What the library itself was linked with. A consumer of the shared library never hears of it; one
# of the archive must repeat it, because the layers below (object libraries) are inside the archive
# and are not installed.
set(private_libraries ${jansson_LIBRARIES} ${crypto_LIBRARIES} ${OpenMP_C_LIB_NAMES} pthread stdc++ m)
set(private_modules jansson libcrypto)
if(IE_SENTENCEPIECE)
  list(APPEND private_libraries ${sentencepiece_LIBRARIES})
  list(APPEND private_modules sentencepiece)
endif()
if(IE_ONEDNN)
  list(APPEND private_libraries dnnl)
endif()
if(IE_CUDA) # a consumer of the archive says where the toolkit's libraries are
  list(APPEND private_libraries cudart_static rt dl)
endif()
get_target_property(library_type imagen_editor TYPE)
if(library_type STREQUAL "STATIC_LIBRARY")
  get_target_property(links imagen_editor INTERFACE_LINK_LIBRARIES)
  list(REMOVE_ITEM links ie_public_header)
  set_target_properties(imagen_editor PROPERTIES INTERFACE_LINK_LIBRARIES
    "ie_public_header;$<BUILD_INTERFACE:${links}>;$<INSTALL_INTERFACE:${private_libraries}>")
endif()

install(TARGETS imagen_editor ie_public_header EXPORT imagen_editor_targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/imagen_editor.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

install(TARGETS imagen-editor RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The models that are there when `cmake --install` runs; a checkout without one installs the engine
# alone.
install(DIRECTORY models/demo models/toy DESTINATION ${IE_MODEL_DIR} OPTIONAL)

install(EXPORT imagen_editor_targets NAMESPACE imagen_editor:: DESTINATION ${IE_PACKAGE_DIR})
write_basic_package_version_file(imagen_editorConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(cmake/imagen_editorConfig.cmake.in imagen_editorConfig.cmake
  INSTALL_DESTINATION ${IE_PACKAGE_DIR} PATH_VARS IE_MODEL_DIR)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/imagen_editorConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/imagen_editorConfigVersion.cmake DESTINATION ${IE_PACKAGE_DIR})

# pkg-config: paths are relative to the .pc file, so that it may be moved as well.
file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
list(JOIN private_modules " " pc_modules)
set(pc_libraries)
foreach(library IN LISTS private_libraries)
  string(APPEND pc_libraries " -l${library}")
endforeach()
configure_file(cmake/imagen_editor.pc.in imagen_editor.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/imagen_editor.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
