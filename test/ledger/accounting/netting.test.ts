/** What netting refuses, and what it leaves to receipts. */
import { describe, expect, it } from 'vitest';
import { decodeTerms, encodeTerms } from '../../../ledger/accounting/index.ts';
import { amount } from '../../../core/units.ts';
import { BothWays, netFrame } from './both-ways.ts';
import type { End } from './both-ways.ts';
import { allFor } from './pair.ts';

const PRICE = 1_000_000n;
const FRAME = 16_384;
const MIB = 1n << 20n;

/** Each end sent the other so many frames that it pays, too few to be netted unasked. */
function owing(leaderFrames: number, followerFrames: number): BothWays {
  const both = new BothWays(PRICE, PRICE);
  send(both, both.leader, leaderFrames);
  send(both, both.follower, followerFrames);
  both.settleDown();
  return both;
}

function send(both: BothWays, payer: End, frames: number): void {
  for (let i = 0; i < frames; i += 1) both.sendUp(payer, FRAME);
}

function worth(frames: number): bigint {
  return (BigInt(64 + frames * FRAME) * PRICE) / MIB;
}

describe('at rest', () => {
  it('only the difference is signed for', () => {
    const both = owing(3, 8);
    both.rest();
    expect(both.leader.earning.netted).toBe(worth(3));
    expect(both.leader.spending.counts()).toMatchObject({ due: 0n, signed: 0n });
    expect(both.follower.spending.counts()).toMatchObject({ due: worth(8) - worth(3), signed: worth(8) - worth(3) });
    expect([both.leader.receipts, both.follower.receipts]).toEqual([0, 1]);
    expect([both.leader.nets, both.follower.nets]).toEqual([1, 1]);
  });

  it('what the follower has signed for meanwhile is not netted: the leader signs for it too', () => {
    const both = owing(8, 3);
    both.follower.spending.flush();
    both.leader.rest();
    both.settleDown();
    expect(both.leader.earning.netted).toBe(0n);
    expect(both.leader.spending.counts().signed).toBe(worth(8));
    expect(both.follower.spending.counts().signed).toBe(worth(3));
    expect(both.leader.nets).toBe(2);
  });

  it('a leader asks a follower that never nets a few times, and no more', () => {
    const both = owing(0, 0);
    both.follower.earning.attribute(allFor('host.web3'), 1, both.follower.price);
    for (let i = 0; i < 10; i += 1) {
      send(both, both.leader, 2);
      send(both, both.follower, 2);
      both.rest();
    }
    expect(both.leader.nets).toBe(6);
    expect(both.leader.earning.netted).toBe(0n);
  });
});

describe('while traffic flows', () => {
  it('neither signs a receipt as long as both owe the same', () => {
    const both = owing(0, 0);
    for (let i = 0; i < 1000; i += 1) {
      for (const end of both.ends) send(both, end, 1);
      both.settleDown();
    }
    expect([both.leader.receipts, both.follower.receipts]).toEqual([0, 0]);
    expect(both.leader.earning.netted).toBeGreaterThan(worth(950));
    // A frame of control for each eighth of a window.
    expect(both.leader.nets).toBeLessThan(1000 / 7.5);
  });
});

describe('what content earned', () => {
  it.each(['leader', 'follower'] as const)(
    'at the %s is never netted: its name is paid a share of receipts',
    (host) => {
      const both = owing(5, 5);
      both[host].earning.attribute(allFor('host.web3'), FRAME, both[host].price);
      both.rest();
      send(both, both.leader, 200);
      both.rest();
      expect(both.leader.earning.netted).toBe(0n);
      expect(both.leader.spending.counts().signed).toBe(worth(205));
      expect(both.follower.spending.counts().signed).toBe(worth(5));
    },
  );
});

describe('a link that breaks', () => {
  /** The debts of both ends are due again on the next link, or netted: once, at both ends. */
  function afterwards(both: BothWays): unknown {
    both.rest();
    return both.ends.map((end) => ({
      signed: end.spending.counts().signed,
      agrees: both.other(end).earning.counts().signed === end.spending.counts().signed,
    }));
  }

  it('before the NET arrives: nothing was netted', () => {
    const both = owing(3, 8);
    both.leader.netting.rest();
    both.loseLink();
    expect(afterwards(both)).toEqual([
      { signed: worth(3), agrees: true },
      { signed: worth(8), agrees: true },
    ]);
  });

  it('before its answer arrives: it was netted, and the leader hears so in the next terms', () => {
    const both = owing(3, 8);
    both.leader.netting.rest();
    both.deliver(both.leader);
    both.loseLink();
    expect(both.follower.earning.terms.netted).toBe(worth(3));
    expect(afterwards(both)).toEqual([
      { signed: 0n, agrees: true },
      { signed: worth(8) - worth(3), agrees: true },
    ]);
  });

  it('with the leader dying before it reads the answer: it pays no more than the follower claims', () => {
    const both = owing(3, 8);
    both.leader.netting.rest();
    both.deliver(both.leader);
    both.loseLink({ leaderDies: true });
    expect(afterwards(both)).toMatchObject([{ signed: 0n }, { agrees: true }]);
  });
});

describe('a peer that lies', () => {
  function refused(end: End, total: bigint): unknown {
    const before = [end.spending.counts(), end.earning.counts()];
    let error: unknown;
    try {
      end.receive({ net: netFrame(total) });
    } catch (thrown) {
      error = thrown;
    }
    expect([end.spending.counts(), end.earning.counts()]).toEqual(before);
    expect(end.out).toEqual([]);
    return error;
  }

  it('as the leader, about more than it owes', () => {
    const { follower } = owing(4, 9);
    expect(refused(follower, worth(4) + 1n)).toMatchObject({
      code: 'METER_DISAGREEMENT',
      details: { theirs: String(worth(4) + 1n), ours: String(worth(4)) },
    });
    expect(refused(follower, (1n << 64n) - 1n)).toMatchObject({ code: 'METER_DISAGREEMENT' });
  });

  it('as the leader, about nothing', () => {
    expect(refused(owing(4, 9).follower, 0n)).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });

  it('as the leader, that proposes again before it has read the answer', () => {
    const { follower } = owing(9, 4);
    follower.receive({ net: netFrame(worth(9)) });
    follower.out = [];
    expect(refused(follower, worth(9))).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });

  it('as the leader, that withholds for good what the follower did not net: it is owed, within the same window', () => {
    const both = owing(9, 4);
    const { leader, follower } = both;
    follower.receive({ net: netFrame(worth(9)) });
    expect(follower.earning.counts().due).toBe(worth(9) - worth(4));
    let verdict = '';
    for (let i = 0; i < 70 && verdict !== 'cut'; i += 1) verdict = follower.earning.receivedUp(FRAME, follower.price);
    expect(verdict).not.toBe('forward');
    expect(leader.earning.netted).toBe(0n);
  });

  it('as the follower, without being asked', () => {
    expect(refused(owing(4, 9).leader, 1n)).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });

  it('as the follower, about more than was proposed, or about less than nothing', () => {
    const { leader } = owing(4, 9);
    leader.netting.rest();
    leader.out = [];
    expect(refused(leader, worth(4) + 1n)).toMatchObject({ code: 'METER_DISAGREEMENT' });
    const both = owing(4, 9);
    both.rest();
    send(both, both.leader, 3);
    send(both, both.follower, 3);
    both.settleDown();
    both.leader.netting.rest();
    both.leader.out = [];
    expect(refused(both.leader, 0n)).toMatchObject({ code: 'METER_DISAGREEMENT' });
  });

  it('as the follower, about what it signed for', () => {
    const both = owing(4, 9);
    both.leader.netting.rest();
    both.leader.out = [];
    both.follower.spending.flush();
    both.settleDown();
    expect(refused(both.leader, worth(4))).toMatchObject({ code: 'METER_DISAGREEMENT', details: { ours: '0' } });
  });

  it.each([0, 7, 9])('with a frame of %d bytes', (length) => {
    const { follower } = owing(4, 9);
    expect(() => follower.netting.receive(new Uint8Array(length))).toThrowError(
      expect.objectContaining({ code: 'INVALID_ENCODING' }),
    );
  });

  it('on an account that was closed', () => {
    const { follower } = owing(4, 9);
    follower.earning.close();
    expect(refused(follower, 1n)).toMatchObject({ code: 'CLOSED' });
  });
});

describe('terms', () => {
  it('say whether and what was netted', () => {
    const both = owing(3, 3);
    both.rest();
    both.loseLink();
    const { terms } = both.leader.earning;
    expect(terms).toMatchObject({ netted: worth(3), nets: true });
    expect(decodeTerms(encodeTerms(terms))).toEqual(terms);
    expect(encodeTerms({ ...terms, netted: amount(258n) }).subarray(40)).toEqual(
      Uint8Array.of(2, 1, 0, 0, 0, 0, 0, 0, 1),
    );
  });

  it('know no other flag', () => {
    const bytes = encodeTerms(owing(0, 0).leader.earning.terms);
    bytes[48] = 2;
    expect(() => decodeTerms(bytes)).toThrowError(expect.objectContaining({ code: 'INVALID_ENCODING' }));
  });
});
