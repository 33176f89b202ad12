"""Ray's processes: what their environment is, how Ray is started, and how its workers begin. For GPUs and CPUs.

environment.py     the variables that verl and Ray's processes need; whether a command starts a Ray or joins one
ray_start.py       Ray's start, tried again on a busy machine; the CPUs that Ray counts
working_folder.py  workers work in the folder of the command
warm_workers.py    workers forked from one process that has imported what they need, on a CPU
forked_worker.py   what Ray starts in place of such a worker's Python
control_groups.py  memory and cores that a process may take, by the limits around it
"""
