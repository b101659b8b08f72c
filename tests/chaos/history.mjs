// The tree of epochs: from which epoch and after which number each one forked. Up to there, their numbers mean the same events.

export class History {
  #parents = new Map(); // epoch → { epoch, at }

  /** Adds the content of a room's head: its epoch, and the forks that led to it ("EPOCH:SEQ EPOCH:SEQ"). */
  note(epoch, forks) {
    let child = epoch;
    for (const fork of forks.split(" ").filter((word) => word !== "").reverse()) {
      const [parent, at] = fork.split(":");
      this.#parents.set(child, { epoch: parent, at: Number(at) });
      child = parent;
    }
  }

  /** Adds an epoch that members received but that ended before the head was read. */
  noteTold(epoch, parent, at) {
    const known = this.#parents.get(epoch);
    if (known && (!known.told || known.epoch !== parent)) return;
    this.#parents.set(epoch, { epoch: parent, at: Math.max(at, known?.at ?? 0), told: true });
  }

  /** The epoch in which this number was assigned. */
  origin(epoch, seq) {
    for (let parent; (parent = this.#parents.get(epoch)) && seq <= parent.at; ) epoch = parent.epoch;
    return epoch;
  }

  /** Does the other epoch contain everything up to `seq` of this one? */
  shares(one, other, seq) {
    return this.origin(one, seq) === this.origin(other, seq);
  }
}
