/** How a sender cuts its data into cells by what it is granted: large ones, as long as large grants come. */
import { GRANT_RESERVE, MAX_CELL_BYTES } from '../../core/limits.ts';
import { cellSize, dataCellLength } from './cell.ts';

/** An end that grants this much grants more long before it is used. */
const ROOMY_GRANT = 4 * MAX_CELL_BYTES;
/** A grant that is too small for what waits is followed by another within this time, or by none: the window behind it shrank. Milliseconds. */
const SMALL_GRANT_MILLIS = 25;

export class Thrift {
  readonly #goOn: () => void;
  /** The largest grant since we last gave something back, or had to use less. */
  #most = 0;
  /** The grant is small, and no larger one came: data may take half of it. */
  #small = false;
  /** While data waits for the grant to grow: what was left of it at the last look. */
  #waitsWith: number | undefined;
  #patience: NodeJS.Timeout | undefined;

  /** `goOn`: called when what waited is to go in small cells. */
  constructor(goOn: () => void) {
    this.#goOn = goOn;
  }

  /** This much is granted now. */
  saw(limit: number): void {
    if (limit > this.#most) this.#most = limit;
  }

  /** Of what is granted, what data and datagrams may use: the rest is for control cells. */
  room(limit: number): number {
    if (limit > 2 * GRANT_RESERVE) this.#small = false;
    return limit - (this.#small ? Math.floor(limit / 2) : GRANT_RESERVE);
  }

  /** A large grant that is nearly used is waited for, rather than cut into small cells: more is on its way. */
  dataLength(queued: number, room: number): number {
    const length = dataCellLength(queued);
    if (cellSize(length) <= room) return length;
    if (this.#most < ROOMY_GRANT) return dataCellLength(queued, room);
    if (this.#waitsWith !== undefined && room > this.#waitsWith) {
      this.#patience ??= setTimeout(() => this.#losePatience(), SMALL_GRANT_MILLIS).unref();
    }
    this.#waitsWith = room;
    return 0;
  }

  #losePatience(): void {
    this.#patience = undefined;
    if (this.#waitsWith === undefined) return;
    this.makeDo();
    this.#goOn();
  }

  /** Data goes, or nothing ever will. */
  waitNoLonger(): void {
    this.#waitsWith = undefined;
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  /** No larger grant came: small cells are used, and data takes half of a small grant, which would otherwise stay unused. */
  makeDo(): void {
    this.#most = 0;
    this.#small = true;
  }

  /** Gave back what it did not use. `idle`: but for two of the smallest frames, and one of them may be data. */
  gaveBack(idle: boolean): void {
    this.#most = 0;
    this.#small = idle;
  }
}
