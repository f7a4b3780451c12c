/**
 * How V8 runs xtask, from source and compiled. Its young generation may grow to 48 MiB in each thread by default, and the
 * buffers that wait in it for a collection to more: with 1 GB of output an agent then takes 208 MiB, with this 165, for a tenth
 * of its throughput. V8 reads it only when a program starts, so it stands on each command line that starts one.
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=4";
