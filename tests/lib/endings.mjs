// Ends everything that a test started, when the test ends.
const endings = new WeakMap();

/** Calls `ending` after the test; the last registered is called first. */
export function atEnd(t, ending) {
  if (!endings.has(t)) {
    const list = [];
    endings.set(t, list);
    t.after(async () => {
      const failures = [];
      while (list.length > 0) await Promise.resolve().then(list.pop()).catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    });
  }
  endings.get(t).push(ending);
}

/** Runs `main(t)` as a program outside of a test. Ends everything that it started in any case, and exits with its status. */
export async function onStage(main) {
  const list = [];
  const t = { after: (ending) => list.push(ending) };
  const end = async (status) => {
    while (list.length > 0) await Promise.resolve().then(list.pop()).catch((error) => console.error(error.message));
    process.exit(status);
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => end(1));
  await end(await main(t).catch((error) => (console.error(error), 1)));
}
