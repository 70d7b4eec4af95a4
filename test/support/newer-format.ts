import { crc32c } from '@node-rs/crc32';

/** The description of an object that a later version might store: sound, and of a format that this one cannot know. */
export function frameOfFormat(format: number): Buffer {
  const json = Buffer.from(JSON.stringify({ format, news: true }));
  const frame = Buffer.alloc(json.length + 12);
  frame.writeUInt32LE(0x184d2a57, 0);
  frame.writeUInt32LE(json.length + 4, 4);
  json.copy(frame, 8);
  frame.writeUInt32LE(crc32c(frame.subarray(0, -4)), frame.length - 4);
  return frame;
}
