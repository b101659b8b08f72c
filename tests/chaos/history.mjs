// Which epoch forked from which, and behind which number: up to there their numbers mean the same.

export class History {
  #parents = new Map(); // epoch → { epoch, at }

  /** What a room's head says: its epoch, and the forks that led to it ("EPOCH:SEQ EPOCH:SEQ"). */
  note(epoch, forks) {
    let child = epoch;
    for (const fork of forks.split(" ").filter((word) => word !== "").reverse()) {
      const [parent, at] = fork.split(":");
      this.#parents.set(child, { epoch: parent, at: Number(at) });
      child = parent;
    }
  }

  /** What members were told ("epoch"): one that was over before anybody looked at the head. */
  noteTold(epoch, parent, at) {
    const known = this.#parents.get(epoch);
    if (known && (!known.told || known.epoch !== parent)) return;
    this.#parents.set(epoch, { epoch: parent, at: Math.max(at, known?.at ?? 0), told: true });
  }

  /** The epoch in which this number was given. */
  origin(epoch, seq) {
    for (let parent; (parent = this.#parents.get(epoch)) && seq <= parent.at; ) epoch = parent.epoch;
    return epoch;
  }

  /** Is everything up to `seq` of one epoch in the other one as well? */
  shares(one, other, seq) {
    return this.origin(one, seq) === this.origin(other, seq);
  }
}
