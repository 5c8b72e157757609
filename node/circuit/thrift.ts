/** How a sender cuts its data into cells by what it is granted: large ones, as long as large grants come. */
import { GRANT_RESERVE, MAX_CELL_BYTES } from '../../core/limits.ts';
import { cellSize, dataCellLength } from './cell.ts';

/** An end that grants so much grants more long before it is used. */
const ROOMY_GRANT = 4 * MAX_CELL_BYTES;
/** A grant that is too small for what waits is followed by another within this, or by none: what it came of has become less, milliseconds. */
const SMALL_GRANT_MILLIS = 25;

export class Thrift {
  readonly #goOn: () => void;
  /** The most that was granted us since we last gave something back, or had to make do. */
  #most = 0;
  /** The grant is small, and no larger one came: data may take a half of it. */
  #small = false;
  /** Of the grant that data waits to see grow, what was left when it was last looked at. */
  #waitsWith: number | undefined;
  #patience: NodeJS.Timeout | undefined;

  /** `goOn`: small cells do from now on, for what waited. */
  constructor(goOn: () => void) {
    this.#goOn = goOn;
  }

  /** So much is granted now. */
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

  /** No larger grant came: small cells will do, and of a small grant data takes a half, or nobody would ever use it. */
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
