/*
 * Dictionary.
 */
export const DICTIONARY = new TextEncoder().encode('scenario');
