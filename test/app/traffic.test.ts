/** Boats by their timetable. */
import { describe, expect, it } from 'vitest';
import { timetableSchema, trafficAt } from '../../app/market/traffic.ts';

const BOAT = {
  name: 'Patience',
  course: [
    [0, 0],
    [0, 1],
    [1, 1],
  ],
  crossing: 100,
  rest: 20,
  piers: ['Sorrel', 'Pellan'],
};
const table = timetableSchema.parse({ boats: [BOAT] });

function at(seconds: number): unknown[] {
  const [boat] = trafficAt(table, seconds * 1000).features;
  return [boat?.properties.state, boat?.properties.pier, boat?.properties.in, boat?.geometry.coordinates];
}

describe('a boat', () => {
  it('lies at its piers, and goes to and fro between them', () => {
    expect(at(0)).toEqual(['at the pier', 'Sorrel', 20, [0, 0]]);
    expect(at(19.5)).toEqual(['at the pier', 'Sorrel', 1, [0, 0]]);
    expect(at(20)).toEqual(['under way', 'Pellan', 100, [0, 0]]);
    expect(at(120)).toEqual(['at the pier', 'Pellan', 20, [1, 1]]);
    expect(at(140)).toEqual(['under way', 'Sorrel', 100, [1, 1]]);
    expect(at(239.999)).toEqual(['under way', 'Sorrel', 1, expect.anything()]);
    expect(at(240)).toEqual(at(0));
  });

  it('goes along its course at one speed, back as well', () => {
    const [, , , [east, north]] = at(20 + 50) as [string, string, number, [number, number]];
    // Both legs are about as long: at the bend, half of the way is behind it.
    expect(east).toBeCloseTo(0, 3);
    expect(north).toBeCloseTo(1, 3);
    expect(at(140 + 25)[3]).toEqual(at(20 + 75)[3]);
  });

  it('may be ahead of the clock', () => {
    const ahead = timetableSchema.parse({ boats: [{ ...BOAT, ahead: 30 }] });
    expect(trafficAt(ahead, 1000).features[0]).toEqual(trafficAt(table, 31_000).features[0]);
  });

  it.each([
    { ...BOAT, course: [[0, 0]] },
    { ...BOAT, crossing: 0 },
    { ...BOAT, piers: ['Sorrel'] },
    { ...BOAT, course: [BOAT.course[0], [0, 91]] },
  ])('is refused where it makes no sense: %j', (boat) => {
    expect(timetableSchema.safeParse({ boats: [boat] }).success).toBe(false);
  });
});
