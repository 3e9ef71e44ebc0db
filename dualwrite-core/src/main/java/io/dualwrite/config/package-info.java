/**
 * The settings: one enum names them all, one class holds their values, and connection strings of
 * either style are understood. The same keys everywhere: Java, file, JDBC URL, Spring, command
 * line.
 */
package io.dualwrite.config;
