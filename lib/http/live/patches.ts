/**
 * What the page is sent: patches in Datastar's protocol, framed by its SDK. An event ends at a line end, and a bare carriage
 * return is one too, which the SDK does not know: output of a task could begin an event of its own. So every line passes
 * here on its way out, and leaves without any control character.
 */
import { ServerSentEventGenerator } from "@starfederation/datastar-sdk/abstractServerSentEventGenerator";

type Send = ServerSentEventGenerator["send"];

/** Collects patches as the text of one write. */
export class Patches extends ServerSentEventGenerator {
  #text = "";

  constructor() {
    super();
  }

  /** What was collected since the last call; the text of an event stream. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  /** Nothing is open here: whoever takes the text has the stream. */
  override close(): void {}

  override send(...[event, lines, { eventId, ...options }]: Parameters<Send>): ReturnType<Send> {
    const framed = super.send(event, lines.map(harmlessLine), {
      ...options,
      ...(eventId === undefined ? {} : { eventId: harmlessLine(eventId) }),
    });
    this.#text += framed.join("");
    return framed;
  }
}

/** One line, whatever it holds. */
function harmlessLine(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what this is about
  return text.replaceAll(/[\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029]/g, " ");
}
