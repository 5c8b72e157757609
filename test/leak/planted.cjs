// A leak on purpose, in every process that is told to load this: one datagram to the port that discards.
const socket = require('node:dgram').createSocket('udp4');
socket.send('leak', 9, '127.0.0.1', () => socket.close());
