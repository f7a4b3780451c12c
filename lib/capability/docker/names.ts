/** What images, containers and the rest may be called: the clients' own grammars, in which nothing begins with a dash. */
import * as v from "valibot";

const HOST = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::\\d{1,5})?";
const PATH_PART = "[a-z0-9]+(?:(?:\\.|__?|-+)[a-z0-9]+)*";
const NAME = `(?:${HOST}/)?${PATH_PART}(?:/${PATH_PART})*`;
const TAG = ":\\w[\\w.-]{0,127}";
const DIGEST = "@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128}";

/** `alpine`, `ghcr.io/team/app:1.2`, `app@sha256:…`, or an image's id. */
export const Image = v.pipe(
  v.string(),
  v.maxLength(500),
  v.regex(new RegExp(`^${NAME}(?:${TAG})?(?:${DIGEST})?$`), "expected an image such as ghcr.io/team/app:1.2"),
);

/** What a built image is called: an image without a digest. */
export const Tag = v.pipe(
  v.string(),
  v.maxLength(500),
  v.regex(new RegExp(`^${NAME}(?:${TAG})?$`), "expected a name such as team/app:1.2"),
);

/** A container's name or id. */
export const Container = v.pipe(
  v.string(),
  v.maxLength(128),
  v.regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, "expected a container's name or id"),
);

/** A stage of a Dockerfile. */
export const Stage = v.pipe(
  v.string(),
  v.maxLength(128),
  v.regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, "expected the name or number of a stage"),
);

/** Environment and build arguments. */
export const Variables = v.record(
  v.pipe(v.string(), v.maxLength(200), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected a name of letters, digits and _")),
  v.pipe(v.string(), v.maxLength(32_768)),
);

/** `8080:80`, `127.0.0.1:8080:80/udp`, or `80` for a free port of the node. */
export const Port = v.pipe(
  v.string(),
  v.regex(
    /^(?:(?:(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]{2,39}\]):)?\d{1,5}:)?\d{1,5}(?:\/(?:tcp|udp|sctp))?$/,
    "expected [address:]port:port[/protocol]",
  ),
);

/**
 * `folder:/where/in/container[:ro]`. The clients take mounts as a list separated by commas, in which quotes have a meaning.
 */
export const Volume = v.pipe(
  v.string(),
  v.maxLength(4_096),
  v.regex(/^[^:,"\p{Cc}]+:\/[^:,"\p{Cc}]*(?::(?:ro|rw))?$/u, "expected folder:/path[:ro]"),
);
