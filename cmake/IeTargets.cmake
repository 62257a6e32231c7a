# Compiler settings shared by every target, and how a layer, a test and a bench are declared.

add_library(ie_settings INTERFACE)
target_compile_features(ie_settings INTERFACE c_std_11 cxx_std_17)
target_compile_options(ie_settings INTERFACE -Wall -Wextra -Wpedantic -Wshadow
  $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes> -fvisibility=hidden)
# No value may depend on how the compiler contracts a*b+c, or builds would disagree bit for bit.
target_compile_options(ie_settings INTERFACE -ffp-contract=off)
target_compile_definitions(ie_settings INTERFACE _GNU_SOURCE)
if(IE_WERROR)
  target_compile_options(ie_settings INTERFACE -Werror)
endif()
if(IE_SANITIZE)
  target_compile_options(ie_settings INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined
    -fno-omit-frame-pointer)
  target_link_options(ie_settings INTERFACE -fsanitize=address,undefined)
endif()
if(IE_TSAN)
  target_compile_options(ie_settings INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(ie_settings INTERFACE -fsanitize=thread)
endif()
if(IE_FUZZ)
  target_compile_options(ie_settings INTERFACE -fsanitize=fuzzer-no-link) # coverage for libFuzzer
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# ie_layer(name SOURCES ... INCLUDES folders it offers ... LINKS layers below ...)
function(ie_layer name)
  cmake_parse_arguments(L "" "" "SOURCES;INCLUDES;LINKS" ${ARGN})
  add_library(${name} OBJECT ${L_SOURCES})
  target_include_directories(${name} PUBLIC ${L_INCLUDES})
  target_link_libraries(${name} PUBLIC ie_settings ${L_LINKS})
endfunction()

# ie_test(name SOURCES ... LINKS ... [SKIP_WITHOUT...]): exit code 77 means SKIP. Tests link the internal archive ie_core.
function(ie_test name)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;LINKS;ARGS" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ie_core cmocka::cmocka ${T_LINKS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE IE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name} ${T_ARGS})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  # Passive waiting: tests share the cores, and spinning threads would starve each other.
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${T_TIMEOUT}
    ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()
