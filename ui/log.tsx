/** The viewer of a run's output: what stands around it. The lines are put in by the page's own script, as text. */

/** The viewer of a command's output. */
export function LogViewer({ command }: { readonly command: string }) {
  return (
    <section id="log" class="log" aria-label="Output" data-command={command} data-ignore-morph>
      <div class="log-tools" role="toolbar" aria-label="Output">
        <label class="log-node">
          <span class="visually-hidden">Node</span>
          <select name="node" data-log-node></select>
        </label>
        <label class="log-search">
          <span class="visually-hidden">Search the output</span>
          <input type="search" placeholder="Search the output" data-log-search data-search />
        </label>
        <span class="log-found" role="status" data-log-found></span>
        <button type="button" data-log="previous" aria-label="Previous match">↑</button>
        <button type="button" data-log="next" aria-label="Next match">↓</button>
        <button type="button" data-log="case" aria-pressed="false" aria-label="Match case">Aa</button>
        <button type="button" data-log="error">First error</button>
        <button type="button" data-log="times" aria-pressed="false">Times</button>
        <button type="button" data-log="wrap" aria-pressed="true">Wrap</button>
        <button type="button" data-log="follow" aria-pressed="true">Follow</button>
        <a class="button" data-log-raw download href="#">Raw</a>
      </div>
      <p class="problem" role="alert" data-log-problem hidden></p>
      <div class="log-lines" tabindex={0} role="region" aria-label="Lines" data-log-lines>
        <p class="log-before" data-log-before hidden></p>
        <ol data-log-list></ol>
      </div>
      <p class="log-status">
        <span data-log-status>waiting for output</span>
        <button type="button" data-log="resume" hidden></button>
      </p>
    </section>
  );
}
