/** What refs, branches and remotes may be called. Nothing that git could read as a flag, a range or a pathspec. */
import * as v from "valibot";

const REF_TEXT = "expected a branch, a tag or a commit, with no leading '-'";

/** A commit as people name it: `main`, `v1.2`, `HEAD~2`, `origin/topic`, `9fceb02`, `main@{upstream}`. */
export const Ref = v.pipe(
  v.string(),
  v.maxLength(250),
  v.regex(/^(?![-.])(?!.*\.\.)[\p{L}\p{N}\p{M}_./@{}~^+#=-]+$/u, REF_TEXT),
);

/** A branch, or what becomes one. */
export const Branch = v.pipe(
  v.string(),
  v.maxLength(250),
  v.regex(
    /^(?![-./])(?!.*(?:\.\.|\/\/|\/\.|@\{))[\p{L}\p{N}\p{M}_./@+#=-]*[\p{L}\p{N}\p{M}_@+#=-]$/u,
    "expected a branch",
  ),
);

/** A remote that the repository knows by name; never an address. */
export const Remote = v.pipe(
  v.string(),
  v.maxLength(100),
  v.regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, "expected the name of a remote"),
);
