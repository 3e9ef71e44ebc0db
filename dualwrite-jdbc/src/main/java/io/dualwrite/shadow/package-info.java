/**
 * Shadow reads: a sample of the application's reads is run on the mirror too, off the application's
 * thread, and the results are compared. What is reported is how a user decides that the other
 * database can take the load.
 */
package io.dualwrite.shadow;
