/** Replaced in dist/ by the version that was built. */
export const VERSION = "not built";
