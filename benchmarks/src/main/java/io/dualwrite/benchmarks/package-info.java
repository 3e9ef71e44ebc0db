/**
 * What dualwrite costs: JMH benchmarks over a stub driver, and whole runs over two servers. Holds
 * programs, never timed tests; the product does not depend on it.
 */
package io.dualwrite.benchmarks;
