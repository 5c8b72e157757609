/** Boats that go to and fro by a timetable, so that a marketplace has something that moves: where they are at a time, as GeoJSON. */
import { z } from 'zod';

/** Longitude and latitude, degrees. */
type Point = readonly [number, number];

export interface Boat {
  readonly name: string;
  /** Pier to pier. */
  readonly course: readonly Point[];
  /** How long one way takes, and how long it lies at each pier, seconds. */
  readonly crossing: number;
  readonly rest: number;
  /** How far it is into its round when the clock stands at a whole multiple of that, seconds. */
  readonly ahead: number;
  /** What each end of the course is called. */
  readonly piers: readonly [string, string];
}

export interface Timetable {
  readonly boats: readonly Boat[];
}

/** A GeoJSON point with what pages say of it. */
export interface BoatFeature {
  readonly type: 'Feature';
  readonly properties: {
    readonly name: string;
    readonly state: 'under way' | 'at the pier';
    /** Where it goes, or lies. */
    readonly pier: string;
    /** Seconds until it is there, or leaves. */
    readonly in: number;
  };
  readonly geometry: { readonly type: 'Point'; readonly coordinates: Point };
}

export interface Traffic {
  readonly type: 'FeatureCollection';
  readonly features: readonly BoatFeature[];
}

const point = z.tuple([z.number().min(-180).max(180), z.number().min(-90).max(90)]);
const seconds = z.number().positive().max(86_400);

export const timetableSchema: z.ZodType<Timetable> = z.strictObject({
  boats: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(60),
        course: z.array(point).min(2).max(500),
        crossing: seconds,
        rest: seconds,
        ahead: z.number().min(0).max(86_400).default(0),
        piers: z.tuple([z.string().min(1).max(60), z.string().min(1).max(60)]),
      }),
    )
    .min(1)
    .max(20),
});

/** @param millis Unix time. */
export function trafficAt({ boats }: Timetable, millis: number): Traffic {
  return { type: 'FeatureCollection', features: boats.map((boat) => featureOf(boat, millis / 1000)) };
}

function featureOf({ name, course, crossing, rest, ahead, piers }: Boat, now: number): BoatFeature {
  const half = crossing + rest;
  const into = (now + ahead) % (2 * half);
  const isBack = into >= half;
  const [from, to] = isBack ? [piers[1], piers[0]] : piers;
  const since = into % half;
  const isResting = since < rest;
  const way = isResting ? 0 : (since - rest) / crossing;
  const left = Math.ceil(isResting ? rest - since : half - since);
  return {
    type: 'Feature',
    properties: { name, state: isResting ? 'at the pier' : 'under way', pier: isResting ? from : to, in: left },
    geometry: { type: 'Point', coordinates: pointAt(course, isBack ? 1 - way : way) },
  };
}

/** @param share of the course's length, 0 to 1. */
function pointAt(course: readonly Point[], share: number): Point {
  const lengths = course.slice(1).map((next, index) => distance(course[index] ?? next, next));
  let left = share * lengths.reduce((sum, length) => sum + length, 0);
  for (const [index, length] of lengths.entries()) {
    const [from, to] = [course[index], course[index + 1]];
    if (from === undefined || to === undefined) break;
    if (left <= length) return between(from, to, length === 0 ? 0 : left / length);
    left -= length;
  }
  return between(course.at(-1) ?? [0, 0], course.at(-1) ?? [0, 0], 0);
}

/** Courses are short: the earth is flat there, and a degree of longitude shorter than one of latitude. */
function distance([west, south]: Point, [east, north]: Point): number {
  const narrow = Math.cos((((south + north) / 2) * Math.PI) / 180);
  return Math.hypot((east - west) * narrow, north - south);
}

/** To a centimetre or so. */
function between([west, south]: Point, [east, north]: Point, share: number): Point {
  const round = (value: number): number => Math.round(value * 1e7) / 1e7;
  return [round(west + (east - west) * share), round(south + (north - south) * share)];
}
