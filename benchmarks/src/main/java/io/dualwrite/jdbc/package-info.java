/** The benchmarks' way into the package of that name; nothing else may be here. */
package io.dualwrite.jdbc;
