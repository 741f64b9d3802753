/*
 * LUO's root as an FDT (v6.19 to v7.1, april-v1). Layout: abi.ts.
 */
import { ERRNO } from '../base/errno.ts';
import type { Phys } from '../base/units.ts';
import { getProperty, nodeCheckCompatible, subnodeOffset } from '../kho/fdt.ts';
import { nativeU64, u64Bytes } from '../kho/fdt_abi.ts';
import { FdtWriter } from '../kho/fdt_writer.ts';
import type { Subtree } from '../kho/root_fdt.ts';
import type { Ram } from '../machine/ram.ts';
import {
  LUO_FDT_BYTES,
  LUO_FDT_FLB_COMPATIBLE,
  LUO_FDT_FLB_HEADER,
  LUO_FDT_FLB_NODE,
  LUO_FDT_NUMBER,
  LUO_FDT_SESSION_HEADER,
  LUO_FDT_SESSION_NODE,
  LUO_SUBTREE,
} from './abi.ts';

export interface FdtRoot {
  readonly bytes: Uint8Array;
  readonly number: number;
}

export interface FdtNodes {
  /** First region of the session store, where the session node is whole. */
  readonly sessionsPa: Phys | undefined;
  /** undefined where the FLB node is not usable. */
  readonly flbsPa: Phys | undefined;
  /** 0, or the errno of the first node that is not. */
  readonly err: number;
  /** What the kernel says of that. */
  readonly complaint: string | undefined;
}

/** Writes the outgoing root. @kernel luo_fdt_setup */
export function writeFdtRoot(
  compatible: string,
  sessionCompatible: string,
  {
    number,
    sessionsPa,
    flbsPa,
  }: { readonly number: number; readonly sessionsPa: Phys; readonly flbsPa: Phys },
): FdtWriter {
  const writer = new FdtWriter(LUO_FDT_BYTES);
  writer.create();
  writer.finishReservemap();
  writer.beginNode('');
  writer.propertyString('compatible', compatible);
  writer.property(LUO_FDT_NUMBER, u64Bytes(number));
  writer.beginNode(LUO_FDT_SESSION_NODE);
  writer.propertyString('compatible', sessionCompatible);
  writer.property(LUO_FDT_SESSION_HEADER, u64Bytes(sessionsPa));
  writer.endNode();
  writer.beginNode(LUO_FDT_FLB_NODE);
  writer.propertyString('compatible', LUO_FDT_FLB_COMPATIBLE);
  writer.property(LUO_FDT_FLB_HEADER, u64Bytes(flbsPa));
  writer.endNode();
  writer.endNode();
  writer.finish();
  return writer;
}

/**
 * The incoming root, or the kernel's complaint (-EINVAL).
 * @kernel luo_early_startup @simplified a missing property, or one of a wrong length, is logged with [0]
 */
export function readFdtRoot(ram: Ram, blob: Subtree, compatible: string): FdtRoot | string {
  const bytes = ram.loadBytes(blob.phys, LUO_FDT_BYTES);
  const match = nodeCheckCompatible(bytes, 0, compatible);
  if (match !== 0) return `FDT '${LUO_SUBTREE}' is incompatible with '${compatible}' [${match}]`;
  const number = nativeU64(getProperty(bytes, 0, LUO_FDT_NUMBER));
  if (number === undefined) return `Unable to get live update number '${LUO_FDT_NUMBER}' [0]`;
  return { bytes, number: number.value };
}

/**
 * Sessions, then FLBs.
 * @kernel luo_session_setup_incoming @simplified a missing property, or one of a wrong length, is logged with [0]
 * @kernel luo_flb_setup_incoming
 */
export function readFdtNodes(fdt: Uint8Array, sessionCompatible: string): FdtNodes {
  const broken = (complaint: string, err: number, sessionsPa?: Phys): FdtNodes => ({
    sessionsPa,
    flbsPa: undefined,
    err,
    complaint,
  });
  const node = subnodeOffset(fdt, 0, LUO_FDT_SESSION_NODE);
  if (node < 0) return broken(`Unable to get session node: [${LUO_FDT_SESSION_NODE}]`, -ERRNO.EINVAL);
  if (nodeCheckCompatible(fdt, node, sessionCompatible) !== 0) {
    return broken(`Session node incompatible [${sessionCompatible}]`, -ERRNO.EINVAL);
  }
  const header = nativeU64(getProperty(fdt, node, LUO_FDT_SESSION_HEADER));
  if (header === undefined) {
    return broken(`Unable to get session header '${LUO_FDT_SESSION_HEADER}' [0]`, -ERRNO.EINVAL);
  }
  const sessionsPa = header.value as Phys;
  const flb = subnodeOffset(fdt, 0, LUO_FDT_FLB_NODE);
  if (flb < 0) return broken(`Unable to get FLB node [${LUO_FDT_FLB_NODE}]`, -ERRNO.ENOENT, sessionsPa);
  const match = nodeCheckCompatible(fdt, flb, LUO_FDT_FLB_COMPATIBLE);
  if (match !== 0) {
    const text = `FLB node is incompatible with '${LUO_FDT_FLB_COMPATIBLE}' [${match}]`;
    return broken(text, -ERRNO.EINVAL, sessionsPa);
  }
  const flbs = nativeU64(getProperty(fdt, flb, LUO_FDT_FLB_HEADER));
  if (flbs === undefined) {
    return broken(`Unable to get FLB header property '${LUO_FDT_FLB_HEADER}' [0]`, -ERRNO.EINVAL, sessionsPa);
  }
  return { sessionsPa, flbsPa: flbs.value as Phys, err: 0, complaint: undefined };
}
