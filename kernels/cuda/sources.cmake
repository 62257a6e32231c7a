# The files of kernels, for the build with nvcc and for the one on the simulator (tests/cuda).
set(ie_cuda_sources apply.cu attention.cu conv.cu conv80.cu conv90.cu conv90_norm.cu conv90_plan.cu cuda.cu
  linear.cu moments.cu pixels.cu sampler.cu tokens.cu)
list(TRANSFORM ie_cuda_sources PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
