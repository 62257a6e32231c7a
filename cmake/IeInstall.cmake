# What `cmake --install` puts where, and how another project finds it.
install(FILES include/imagen_editor.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
