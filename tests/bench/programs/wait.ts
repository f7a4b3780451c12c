/** What every Deno program keeps of the memory: it says that it is ready, and waits. */
Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
await new Promise((resolve) => setTimeout(resolve, 600_000));
