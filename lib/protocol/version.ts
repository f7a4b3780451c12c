/** The version of this program, as nodes and services tell it. A test holds it equal to the one in deno.json. */
export const VERSION = "0.1.0";
