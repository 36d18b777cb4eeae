import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rawElements, rawMembers } from '../../../src/kernel/runtime/raw-json.js';

test('the members of any object come back with the bytes that they had', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1), (object, indent) => {
      const json = JSON.stringify(object, undefined, indent);

      const members = rawMembers(json);

      expect(members.map(([key]) => key)).toEqual(Object.keys(object));
      for (const [key, value] of members) {
        expect(JSON.parse(value)).toEqual(JSON.parse(JSON.stringify(object[key])));
        expect(json).toContain(value);
      }
    }),
  );
});

test('a number keeps its spelling', () => {
  expect(rawMembers('{"qty":1.10, "id":52983525033527999999}')).toEqual([
    ['qty', '1.10'],
    ['id', '52983525033527999999'],
  ]);
});

test('the elements of any array come back with the bytes that they had', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.constantFrom(undefined, 1), (array, indent) => {
      const json = JSON.stringify(array, undefined, indent);

      expect(rawElements(json).map((text) => JSON.parse(text) as unknown)).toEqual(JSON.parse(json));
    }),
  );
});
