# Sourced by scripts that do something after a long command: signals to the script reach the command.
# bash by itself dies of a SIGTERM and leaves its command running, or notes it and waits.

attend() {  # attend COMMAND ...: run it to its end, and end with it if SIGINT or SIGTERM comes
    local signalled='' status=0 command
    "$@" &
    command=$!
    # What bash starts in the background ignores SIGINT unless it takes it up, as verl_dots.guard does.
    trap 'signalled=130; kill -INT $command 2>/dev/null; kill -TERM $command 2>/dev/null || true' INT
    trap 'signalled=143; kill -TERM $command 2>/dev/null || true' TERM
    # bash runs a trap between two commands. Its `wait` sleeps on if the signal comes just before it, so no long wait.
    while kill -0 "$command" 2>/dev/null; do
        sleep 0.2 || true  # Ctrl-C ends the sleep too
    done
    wait "$command" || status=$?
    trap - INT TERM
    [ -z "$signalled" ] || exit "$signalled"
    return "$status"
}
