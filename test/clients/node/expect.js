'use strict';
// What the sessions say of an answer.

const assert = require('node:assert/strict');

// equal compares; buffers and objects by what is in them.
exports.equal = (got, want) => assert.deepEqual(got, want);

// rejects expects that a promise fails with a message that contains text.
exports.rejects = (promise, text) => assert.rejects(promise, (error) => {
  assert.ok(String(error && error.message || error).includes(text), `${error}, want an error that says ${text}`);
  return true;
});

// session runs the steps one after another and ends the process: with code 0, or
// with 1 and what was wrong. A step that waits for nothing that can come is wrong.
exports.session = async (steps) => {
  process.exitCode = 1;
  try {
    for (const step of steps) await step();
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
  process.exit(0);
};
