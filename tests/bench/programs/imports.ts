/** What loading xtask's command line costs, before it is asked for anything. */
import "../../../lib/cli/main.ts";
