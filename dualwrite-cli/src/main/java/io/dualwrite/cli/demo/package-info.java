/**
 * The demo: an ordinary application that writes real data, two embedded servers, and the whole
 * method from the first dual-written row to the way back.
 */
package io.dualwrite.cli.demo;
