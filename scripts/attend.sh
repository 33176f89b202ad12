# Sourced by scripts that do something after a long command: signals to the script reach the command.
# bash by itself dies of a SIGTERM and leaves its command running, or notes it and waits.

attend() {  # attend COMMAND ...: run it to its end, and end with it if SIGINT or SIGTERM comes
    local signalled='' status=0 command
    "$@" &
    command=$!
    # What bash starts in the background ignores SIGINT unless it takes it up, as verl_dots.guard does.
    trap 'signalled=130; kill -INT $command 2>/dev/null; kill -TERM $command 2>/dev/null || true' INT
    trap 'signalled=143; kill -TERM $command 2>/dev/null || true' TERM
    wait "$command" || status=$?
    while kill -0 "$command" 2>/dev/null; do  # a signal ends the first wait
        status=0
        wait "$command" || status=$?
    done
    trap - INT TERM
    [ -z "$signalled" ] || exit "$signalled"
    return "$status"
}
