/** The {@code dualwrite} command. Nothing here is an API: what the command does is. */
package io.dualwrite.cli;
