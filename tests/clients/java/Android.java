// As much of Android as PlaySmart.kt and the manual use, so that both are compiled without it. Java wants a file for
// each class: the test writes them, in the packages that are named here.

// android.app
abstract class Application extends android.content.Context {
    public void onCreate() { }
    public android.content.Context getApplicationContext() { return this; }
    public java.io.File getNoBackupFilesDir() { return null; }
    public android.content.pm.PackageManager getPackageManager() { return null; }
    public String getPackageName() { return null; }
}

// android.content
abstract class Context {
    public abstract Context getApplicationContext();
    public abstract java.io.File getNoBackupFilesDir();
    public abstract android.content.pm.PackageManager getPackageManager();
    public abstract String getPackageName();
}

// android.content.pm
abstract class PackageManager {
    public abstract PackageInfo getPackageInfo(String name, int flags);
}

// android.content.pm
class PackageInfo {
    public String versionName;
}

// android.os
class SystemClock {
    public static long elapsedRealtime() { return 0; }
}

// androidx.lifecycle
interface LifecycleObserver {
}

// androidx.lifecycle
interface LifecycleOwner {
    Lifecycle getLifecycle();
}

// androidx.lifecycle
interface DefaultLifecycleObserver extends LifecycleObserver {
    default void onStop(LifecycleOwner owner) { }
}

// androidx.lifecycle
abstract class Lifecycle {
    public abstract void addObserver(LifecycleObserver observer);
}

// androidx.lifecycle
class ProcessLifecycleOwner {
    public static LifecycleOwner get() { return null; }
}

// androidx.work
enum NetworkType { CONNECTED
}

// androidx.work
enum ExistingWorkPolicy { KEEP
}

// androidx.work
class Constraints {
    public static class Builder {
        public Builder setRequiredNetworkType(NetworkType type) { return this; }
        public Constraints build() { return null; }
    }
}

// androidx.work
abstract class WorkRequest {
    public abstract static class Builder<B extends Builder<B, W>, W extends WorkRequest> {
        public final B setConstraints(Constraints constraints) { return null; }
        public final W build() { return null; }
    }
}

// androidx.work
class OneTimeWorkRequest extends WorkRequest {
    public static class Builder extends WorkRequest.Builder<Builder, OneTimeWorkRequest> {
        public Builder(Class<? extends ListenableWorker> worker) { }
    }
}

// androidx.work
class WorkerParameters {
}

// androidx.work
abstract class ListenableWorker {
    public ListenableWorker(android.content.Context context, WorkerParameters parameters) { }
    public abstract static class Result {
        public static Result success() { return null; }
    }
}

// androidx.work
abstract class Worker extends ListenableWorker {
    public Worker(android.content.Context context, WorkerParameters parameters) { super(context, parameters); }
    public abstract Result doWork();
}

// androidx.work
abstract class WorkManager {
    public static WorkManager getInstance(android.content.Context context) { return null; }
    public abstract Object enqueueUniqueWork(String name, ExistingWorkPolicy policy, OneTimeWorkRequest job);
}
